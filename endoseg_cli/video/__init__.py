"""Videos read and written, timestamps and colours kept; the only place that knows PyAV."""
