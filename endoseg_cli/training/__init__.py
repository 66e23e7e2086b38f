"""Train the segmentation networks (Endo-SemiS)."""
