"""Videos and ordered pictures as a stream of frames with sound timestamps, past damage, in constant memory.

May import video.ends, video.geometry and pictures.
"""
