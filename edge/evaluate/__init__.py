"""How right a model is: a data set with its truth in, figures with their uncertainty and the worst cases out."""
