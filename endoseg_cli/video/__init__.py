"""Read and write video; the only place that knows PyAV."""
