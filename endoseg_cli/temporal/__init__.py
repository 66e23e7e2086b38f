"""What masks and pictures do over time, by rules without a network: isolated failures, scene cuts.

May import nothing else of endoseg.
"""
