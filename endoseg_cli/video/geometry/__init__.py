"""How pixels lie in a video: planes, colours, the turn between the stored and the upright picture, and the memory that
frames may take.

May import nothing else of endoseg.
"""
