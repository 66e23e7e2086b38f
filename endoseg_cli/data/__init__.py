"""From what people have on disk to what training sees: labels, sets, views and clips, a room each."""
