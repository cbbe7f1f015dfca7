"""Pure functions on pixels and arrays: picture in, blob out; model outputs in, findings out; overlays."""
