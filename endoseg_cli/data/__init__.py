"""Find, read, augment and batch images and masks."""
