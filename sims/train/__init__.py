"""Training and proving the demo's own model. Only here is PyTorch imported (extra ``train``)."""
