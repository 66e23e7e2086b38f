"""The formulas of the paper, one file a strategy, as functions of tensors that can be tested alone.

Uncertainty, pseudo-labels, the joint pseudo-label, mutual learning, the losses of the objective, and its ramp. May
import training.shared, data and networks.
"""
