"""Pages to look at in a browser, each one file: a video with its timeline and the lesions that appear in it.

`timeline` and `appearances` keep what is known of frames while they pass, `thumbnails` makes their small pictures,
`video_page` writes the page from `templates/`; `segmented` and `clips` fill it for `segment` and `evaluate --video`.
"""
