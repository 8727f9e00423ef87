"""Measurements side by side: ours, autodiff, Flax and PyTorch in one process."""
