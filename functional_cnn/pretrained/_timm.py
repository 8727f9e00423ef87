"""The names of timm's models, where they are not torchvision's."""

from functional_cnn.pretrained._naming import Naming, conv_norm

_BLOCK = "stage{s}_block{b}"
_STAGE = "blocks.{s0}.{b0}."
_FIRST = "blocks.0.{b0}."
_CONVNEXT = "stages.{s0}"

# Blocks of the first stage do not expand: timm calls their projection pointwise, and numbers norms by their place.
_INVERTED = [
    *conv_norm("stem", "", "conv_stem", "bn1"),
    *conv_norm("stage1_block{b}/depthwise", _FIRST, "conv_dw", "bn1"),
    *conv_norm("stage1_block{b}/project", _FIRST, "conv_pw", "bn2"),
    *conv_norm(f"{_BLOCK}/expand", _STAGE, "conv_pw", "bn1"),
    *conv_norm(f"{_BLOCK}/depthwise", _STAGE, "conv_dw", "bn2"),
    *conv_norm(f"{_BLOCK}/project", _STAGE, "conv_pwl", "bn3"),
    *conv_norm("last", "", "conv_head", "bn2"),
    ("head", "classifier"),
]
MOBILENET_V2 = Naming("timm", _INVERTED)
EFFICIENTNET = Naming(
    "timm",
    [
        *_INVERTED,
        (f"{_BLOCK}/squeeze/reduce", f"{_STAGE}se.conv_reduce"),
        (f"{_BLOCK}/squeeze/expand", f"{_STAGE}se.conv_expand"),
    ],
)
CONVNEXT = Naming(
    "timm",
    [
        ("stem_conv", "stem.0"),
        ("stem_norm", "stem.1"),
        ("downsample{s}/norm", f"{_CONVNEXT}.downsample.0"),
        ("downsample{s}/conv", f"{_CONVNEXT}.downsample.1"),
        (f"{_BLOCK}/depthwise", f"{_CONVNEXT}.blocks.{{b0}}.conv_dw"),
        (f"{_BLOCK}/norm", f"{_CONVNEXT}.blocks.{{b0}}.norm"),
        (f"{_BLOCK}/expand", f"{_CONVNEXT}.blocks.{{b0}}.mlp.fc1"),
        (f"{_BLOCK}/project", f"{_CONVNEXT}.blocks.{{b0}}.mlp.fc2"),
        (f"{_BLOCK}/layer_scale", f"{_CONVNEXT}.blocks.{{b0}}"),
        ("norm", "head.norm"),
        ("head", "head.fc"),
    ],
)
NAMINGS = (MOBILENET_V2, EFFICIENTNET, CONVNEXT)
