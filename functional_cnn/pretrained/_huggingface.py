"""The names of Hugging Face transformers' models for image classification."""

from functional_cnn.pretrained._naming import Naming, conv_norm

_BLOCK = "stage{s}_block{b}"
_PAIR = ("convolution", "normalization")
_RESNET = "resnet.encoder.stages.{s0}.layers.{b0}"
_V2 = "mobilenet_v2"
_EFFICIENT = "efficientnet.encoder.blocks.{k0}"
_CONVNEXT = "convnext.encoder.stages.{s0}"

RESNET = Naming(
    "huggingface",
    [
        *conv_norm("stem", "resnet.embedder.embedder.", *_PAIR),
        *conv_norm(f"{_BLOCK}/conv{{n}}", f"{_RESNET}.layer.{{n0}}.", *_PAIR),
        *conv_norm(f"{_BLOCK}/shortcut", f"{_RESNET}.shortcut.", *_PAIR),
        ("head", "classifier.1"),
    ],
)
MOBILENET_V2 = Naming(
    "huggingface",
    [
        *conv_norm("stem", f"{_V2}.conv_stem.first_conv.", *_PAIR),
        *conv_norm("stage1_block1/depthwise", f"{_V2}.conv_stem.conv_3x3.", *_PAIR),
        *conv_norm("stage1_block1/project", f"{_V2}.conv_stem.reduce_1x1.", *_PAIR),
        *conv_norm(f"{_BLOCK}/expand", f"{_V2}.layer.{{e0}}.expand_1x1.", *_PAIR),
        *conv_norm(f"{_BLOCK}/depthwise", f"{_V2}.layer.{{e0}}.conv_3x3.", *_PAIR),
        *conv_norm(f"{_BLOCK}/project", f"{_V2}.layer.{{e0}}.reduce_1x1.", *_PAIR),
        *conv_norm("last", f"{_V2}.conv_1x1.", *_PAIR),
        ("head", "classifier"),
    ],
)
EFFICIENTNET = Naming(
    "huggingface",
    [
        ("stem/conv", "efficientnet.embeddings.convolution"),
        ("stem/norm", "efficientnet.embeddings.batchnorm"),
        *conv_norm(f"{_BLOCK}/expand", f"{_EFFICIENT}.expansion.", "expand_conv", "expand_bn"),
        *conv_norm(
            f"{_BLOCK}/depthwise", f"{_EFFICIENT}.depthwise_conv.", "depthwise_conv", "depthwise_norm"
        ),
        (f"{_BLOCK}/squeeze/reduce", f"{_EFFICIENT}.squeeze_excite.reduce"),
        (f"{_BLOCK}/squeeze/expand", f"{_EFFICIENT}.squeeze_excite.expand"),
        *conv_norm(f"{_BLOCK}/project", f"{_EFFICIENT}.projection.", "project_conv", "project_bn"),
        *conv_norm("last", "efficientnet.encoder.", "top_conv", "top_bn"),
        ("head", "classifier"),
    ],
)
CONVNEXT = Naming(
    "huggingface",
    [
        ("stem_conv", "convnext.embeddings.patch_embeddings"),
        ("stem_norm", "convnext.embeddings.layernorm"),
        ("downsample{s}/norm", f"{_CONVNEXT}.downsampling_layer.0"),
        ("downsample{s}/conv", f"{_CONVNEXT}.downsampling_layer.1"),
        (f"{_BLOCK}/depthwise", f"{_CONVNEXT}.layers.{{b0}}.dwconv"),
        (f"{_BLOCK}/norm", f"{_CONVNEXT}.layers.{{b0}}.layernorm"),
        (f"{_BLOCK}/expand", f"{_CONVNEXT}.layers.{{b0}}.pwconv1"),
        (f"{_BLOCK}/project", f"{_CONVNEXT}.layers.{{b0}}.pwconv2"),
        (f"{_BLOCK}/layer_scale", f"{_CONVNEXT}.layers.{{b0}}"),
        ("norm", "convnext.layernorm"),
        ("head", "classifier"),
    ],
)
NAMINGS = (RESNET, MOBILENET_V2, EFFICIENTNET, CONVNEXT)
