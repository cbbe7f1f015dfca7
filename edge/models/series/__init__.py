"""Series models as things: their bundles, what is proposed for bare files, and running them."""
