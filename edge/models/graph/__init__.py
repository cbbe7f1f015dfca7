"""What an ONNX file holds, read without the runtime and without loading weights: for the guard and for inspect."""

from edge.models.graph.nodes import DTYPES, Function, Graph, ModelFile, Node, Tensor, Value
from edge.models.graph.read import MAX_NODES, read

__all__ = ["DTYPES", "MAX_NODES", "Function", "Graph", "ModelFile", "Node", "Tensor", "Value", "read"]
