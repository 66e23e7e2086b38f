"""How pixels lie in a video: planes, colours, and the turn between the stored and the upright picture.

May import nothing else of endoseg.
"""
