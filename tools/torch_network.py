"""The two networks in PyTorch, as their published state dictionaries name them: what attune's training is
checked against (tools/make_training_goldens.py) and measured beside (bench/peers/train).

Dropout is by masks that are given: attune's drops are a function of a seed, and PyTorch's are not that one.
"""
import numpy
import torch
from torch import nn
from torch.nn import functional

STEP = 0x9E3779B97F4A7C15


def mix(x):
    """The finaliser of SplitMix64 (src/model/random.h), of an array of uint64."""
    x = (x ^ x >> numpy.uint64(30)) * numpy.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ x >> numpy.uint64(27)) * numpy.uint64(0x94D049BB133111EB)
    return x ^ x >> numpy.uint64(31)


def keeps(seed, layer, count, drop):
    """attune_dropout_keeps for elements 0 to count - 1: True where kept."""
    tensors_max = 16 + 4 * 8 + 8  # ATTUNE_TENSORS_MAX
    elements = numpy.arange(count, dtype=numpy.uint64) * numpy.uint64(tensors_max) + numpy.uint64(layer + 1)
    bits = mix(numpy.uint64(seed) + numpy.uint64(STEP) * elements) >> numpy.uint64(40)
    return bits.astype(numpy.float32) * numpy.float32(2.0 ** -24) >= numpy.float32(drop)


def mask(seed, layer, shape, drop):
    """What dropout multiplies with."""
    kept = torch.from_numpy(keeps(seed, layer, int(numpy.prod(shape)), drop).reshape(shape))
    return kept.double() / (1 - float(numpy.float32(drop)))


class Separable(nn.Module):
    """Depthwise convolution of 5 taps, stride 2, and a pointwise one, each with batch normalisation and GELU."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(inputs, inputs, 5, 2, 2, groups=inputs, bias=False), nn.BatchNorm1d(inputs), nn.GELU(),
            nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs), nn.GELU())

    def forward(self, x):
        return self.net(x)


class Network(nn.Module):
    """(clips, samples) -> (clips, embedding)"""

    def __init__(self, architecture="tiny", pooling="attention", frame=2048, hop=2048, hidden=128, layers=2,
                 attention=128, projection=128, embedding=32):
        super().__init__()
        self.pooling, self.frame, self.hop = pooling, frame, hop
        if architecture == "tiny":
            self.cnn_frontend = nn.Sequential(Separable(1, 32), Separable(32, 64))
        else:
            self.cnn_frontend = nn.Sequential(
                nn.Conv1d(1, 64, 7, 2, 3), nn.BatchNorm1d(64), nn.ReLU(), nn.MaxPool1d(2),
                nn.Conv1d(64, 128, 5, 2, 2), nn.BatchNorm1d(128), nn.ReLU())
        self.gru = nn.GRU(64 if architecture == "tiny" else 128, hidden, layers, batch_first=True)
        if pooling == "attention":
            self.attn = nn.Sequential(nn.Linear(hidden, attention), nn.Tanh(), nn.Linear(attention, 1))
        self.projection = nn.Sequential(
            nn.Linear(hidden, projection), nn.GELU() if architecture == "tiny" else nn.ReLU(), nn.Dropout(0),
            nn.Linear(projection, embedding))

    def features(self, audio):
        frames = audio.unfold(1, self.frame, self.hop)
        x = self.cnn_frontend(frames.reshape(-1, 1, self.frame))
        return x.mean(dim=2).view(*frames.shape[:2], -1)

    def states(self, x, masks):
        """Layer by layer, for the masks between them."""
        for layer, weights in enumerate(self.gru.all_weights):
            zeros = x.new_zeros(1, x.shape[0], self.gru.hidden_size)
            x = torch.gru(x, zeros, weights, True, 1, 0.0, True, False, True)[0]
            if layer in masks and layer + 1 < self.gru.num_layers:
                x = x * masks[layer]
        return x

    def head(self, h, masks):
        if self.pooling == "attention":
            pooled = (h * torch.softmax(self.attn(h), dim=1)).sum(dim=1)
        else:
            pooled = h.mean(dim=1) if self.pooling == "mean" else h[:, -1]
        x = self.projection[1](self.projection[0](pooled))
        x = self.projection[3](x * masks["head"] if "head" in masks else x)
        return functional.normalize(x, dim=1)

    def forward(self, audio):
        return self.head(self.gru(self.features(audio))[0], {})


def triplet_loss(embeddings, margin=0.2):
    """Of anchors, positives and negatives one after the other."""
    anchors, positives, negatives = embeddings.chunk(3)
    near = functional.pairwise_distance(anchors, positives)
    far = functional.pairwise_distance(anchors, negatives)
    return functional.relu(margin + near - far).mean()
