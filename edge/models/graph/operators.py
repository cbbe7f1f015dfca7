"""Which operators a model may use.

A list of what is known, because a list of what is bad is never complete. It holds ONNX's own operators that run on
pictures and signals (https://github.com/onnx/onnx/blob/main/docs/Operators.md, up to set 28), those for classical
models (``ai.onnx.ml``), and of the runtime's extensions (``com.microsoft``,
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md) what quantised and optimised files for the
CPU hold. Left out on purpose: operators that read files or run another engine (``EPContext``, ``Snpe``), decode
pictures themselves (``ImageDecoder``: our limits would not hold), search with loops inside (``BeamSearch`` and its
kind), train, or run a regular expression of the file's (``RegexFullMatch``).
"""

from __future__ import annotations

_OWN = """
Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization BitCast
BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Celu CenterCropPad Clip Col2Im
Compress Concat ConcatFromSequence Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum DFT
DeformConv DepthToSpace DequantizeLinear Det Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike
Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater
GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity If
InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual LinearAttention Log LogSoftmax
Loop LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization
MelWeightMatrix Min Mish Mod Mul Neg NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement
OptionalHasElement Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN RandomNormal
RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp
ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign
RotaryEmbedding Round STFT Scan Scatter ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty
SequenceErase SequenceInsert SequenceLength Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign
SpaceToDepth Split SplitToSequence Sqrt Squeeze StringNormalizer Sub Sum SwiGLU Swish Tan Tanh TensorScatter
TfIdfVectorizer ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze Upsample Where Xor
Affine Crop ImageScaler ParametricSoftplus Scale ScaledTanh SimplifiedLayerNormalization
"""  # the last line: experimental ones of operator set 1, which old Caffe2 and CNTK files still have

_ML = """
ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer Imputer LabelEncoder
LinearClassifier LinearRegressor Normalizer OneHotEncoder SVMClassifier SVMRegressor Scaler TreeEnsemble
TreeEnsembleClassifier TreeEnsembleRegressor ZipMap
"""

_MICROSOFT = """
Attention BiasAdd BiasGelu BiasSoftmax BiasSplitGelu CDist ConvTransposeWithDynamicPads CropAndResize DequantizeLinear
DynamicQuantizeLSTM DynamicQuantizeMatMul EmbedLayerNormalization ExpandDims FastGelu FusedConv FusedGemm FusedMatMul
FusedMatMulActivation GatherBlockQuantized GatherND Gelu GridSample GroupNorm Inverse Irfft IsAllFinite MatMulBnb4
MatMulFpQ4 MatMulInteger16 MatMulIntegerToFloat MatMulNBits MaxpoolWithMask MulInteger MultiHeadAttention NhwcConv
NhwcFusedConv NhwcMaxPool Pad QAttention QEmbedLayerNormalization QGemm QLinearAdd QLinearAveragePool QLinearConcat
QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid QLinearSoftmax
QLinearWhere QuantizeLinear QuickGelu Range ReduceSumInteger RelativePositionBias Rfft RotaryEmbedding
SkipGroupNorm SkipLayerNormalization SkipSimplifiedLayerNormalization TransposeMatMul Trilu UnfoldTensor Unique
"""

ALLOWED: dict[str, frozenset[str]] = {
    "": frozenset(_OWN.split()),
    "ai.onnx.ml": frozenset(_ML.split()),
    "com.microsoft": frozenset(_MICROSOFT.split()),
}
"""Operators by domain; '' is ONNX's own, which may also be written ``ai.onnx``."""


def allowed(domain: str, op: str, more: frozenset[str] = frozenset()) -> bool:
    """True for an operator of the list, or of ``more``: ``Op``, ``domain:Op``, or ``domain:*`` for a whole domain."""
    domain = "" if domain == "ai.onnx" else domain
    if op in ALLOWED.get(domain, ()):
        return True
    return bool(more) and (spelled(domain, op) in more or f"{domain}:*" in more)


def spelled(domain: str, op: str) -> str:
    """As a person writes it in ``[guard] operators``."""
    return f"{domain}:{op}" if domain and domain != "ai.onnx" else op
