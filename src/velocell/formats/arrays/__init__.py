"""NumPy's and torch's files: .npz, .npy, saved tensors."""
