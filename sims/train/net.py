"""The network: a small U-Net that looks at a grey frame of 320 x 240 and answers on a grid of 160 x 120 (1 mm cells).

Plain 3 x 3 convolutions and nothing else that a small CPU does badly. Batch norm is folded away by the runtime.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MEAN = 0.4
STD = 0.25
"""Input is (grey / 255 - MEAN) / STD."""


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class SurfaceNet(nn.Module):
    """float32 (n, 1, h, w), h and w multiples of 16 -> logits (n, 1 + kinds, h/2, w/2), channel 0 background."""

    def __init__(self, kinds: int = 4, widths: tuple[int, int, int, int] = (16, 32, 48, 64)) -> None:
        super().__init__()
        a, b, c, d = widths
        self.stem = nn.Sequential(_block(1, a, 2), _block(a, a))
        self.down1 = nn.Sequential(_block(a, b, 2), _block(b, b))
        self.down2 = nn.Sequential(_block(b, c, 2), _block(c, c))
        self.down3 = nn.Sequential(_block(c, d, 2), _block(d, d))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.join2 = nn.Sequential(nn.Conv2d(d + c, c, 1), _block(c, c))
        self.join1 = nn.Sequential(nn.Conv2d(c + b, b, 1), _block(b, b))
        self.join0 = nn.Sequential(nn.Conv2d(b + a, a, 1), _block(a, a))
        self.head = nn.Conv2d(a, 1 + kinds, 1)
        # begin by expecting background, which is nearly everything: else the first hundreds of steps only learn that
        nn.init.zeros_(self.head.bias)
        nn.init.constant_(self.head.bias[:1], 4.0)

    def forward(self, grey: Tensor) -> Tensor:
        """Logits; apply softmax over channels for probabilities."""
        s0 = self.stem(grey)
        s1 = self.down1(s0)
        s2 = self.down2(s1)
        x = self.down3(s2)
        x = self.join2(torch.cat([self.up(x), s2], 1))
        x = self.join1(torch.cat([self.up(x), s1], 1))
        x = self.join0(torch.cat([self.up(x), s0], 1))
        return self.head(x)


class Exported(nn.Module):
    """The same with probabilities, as it is shipped."""

    def __init__(self, net: SurfaceNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, grey: Tensor) -> Tensor:
        """Probabilities (n, 1 + kinds, h/2, w/2) that sum to one over the channels."""
        return torch.softmax(self.net(grey), 1)
