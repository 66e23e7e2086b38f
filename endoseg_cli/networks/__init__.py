"""U-Nets, their encoders, and the file format that holds a trained model."""
