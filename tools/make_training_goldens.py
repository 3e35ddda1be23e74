"""Writes tests/goldens/training.txt and training_steps.txt: what PyTorch, in double precision, makes of small
networks, whose parameters and clips tests/train/golden.c draws from the same random numbers.

usage: make_training_goldens.py FOLDER          (with torch and numpy from PyPI; any version will do)

A tensor's line is its name, its largest element, the sum of its elements with random signs, and up to 24 of them,
evenly spread.
"""
import os
import sys

import numpy
import torch

from torch_network import Network, STEP, mask, mix, triplet_loss

# name, architecture, pooling, frame, hop, hidden, layers, attention, projection, embedding, clips, groups, samples,
# dropout of layers and head, frozen, seed
CASES = [
    ("tiny", "tiny", "attention", 512, 512, 32, 2, 24, 40, 8, 6, 3, 4200, 0, 0, 0, 1),
    ("tiny-one-group", "tiny", "attention", 512, 512, 16, 2, 16, 16, 8, 6, 1, 3000, 0, 0, 0, 2),
    ("tiny-hop", "tiny", "mean", 512, 256, 16, 3, 0, 16, 16, 3, 3, 2900, 0, 0, 0, 3),
    ("tiny-last", "tiny", "last", 256, 256, 48, 1, 0, 16, 4, 9, 3, 1300, 0, 0, 0, 4),
    ("tiny-dropout", "tiny", "attention", 512, 512, 32, 3, 33, 16, 8, 6, 3, 3600, 0.25, 0.25, 0, 5),
    ("tiny-frozen", "tiny", "attention", 512, 512, 16, 2, 16, 16, 8, 6, 3, 2600, 0, 0.125, 1, 6),
    ("gru", "gru", "last", 512, 512, 16, 2, 0, 16, 8, 6, 3, 3000, 0, 0, 0, 7),
    ("gru-hop-dropout", "gru", "attention", 256, 128, 32, 2, 8, 24, 8, 6, 1, 1000, 0.125, 0.5, 0, 8),
]
STEPS = ("tiny-steps", "tiny", "attention", 512, 512, 32, 2, 16, 32, 8, 6, 3, 3600, 0.125, 0.125, 0, 9)
BATCHES = 3  # that the steps take by turns


def uniform(seed, index, count):
    """attune_random_uniform, `count` times, of attune_random_of(seed, index)."""
    with numpy.errstate(over="ignore"):
        state = mix(numpy.uint64(seed) + numpy.uint64(STEP) * numpy.uint64(index + 1))
        steps = numpy.arange(1, count + 1, dtype=numpy.uint64)
        bits = mix(numpy.uint64(state) + numpy.uint64(STEP) * steps)
    return (bits >> numpy.uint64(11)).astype(numpy.float64) * 2.0 ** -53


def clips_of(case, batch):
    """(clips, samples): runs of 300 samples of noise on a square wave, each of its own level and period."""
    name, _, _, _, _, _, _, _, _, _, count, _, samples, _, _, _, seed = case
    clips = []
    for clip in range(count):
        index = 10000 + 1000 * batch + 2 * clip
        noise = 2 * uniform(seed, index, samples) - 1
        runs = uniform(seed, index + 1, 2 * (samples // 300 + 1))
        at = numpy.arange(samples)
        level, half = runs[2 * (at // 300)], 2 + (30 * runs[2 * (at // 300) + 1]).astype(numpy.int64)
        square = 1.0 - 2.0 * (at // half % 2)
        clips.append((level * (0.5 * noise + 0.5 * square)).astype(numpy.float32))
    return torch.from_numpy(numpy.stack(clips)).double()


def fill(network, seed, hidden):
    """Weights of ±1.5/√fan-in, biases of ±0.2, scales about 1; running statistics about 0 and 1."""
    with torch.no_grad():
        for i, (name, p) in enumerate(network.named_parameters()):
            bound = 0.2
            if name.startswith("gru."):
                bound = 1.5 / numpy.sqrt(float(hidden))
            elif p.dim() > 1:
                bound = 1.5 / numpy.sqrt(float(p.numel() // p.shape[0]))
            values = bound * (2 * uniform(seed, i, p.numel()) - 1)
            if p.dim() == 1 and name.endswith(".weight"):
                values = 1 + values
            p.copy_(torch.from_numpy(values.astype(numpy.float32)).double().view(p.shape))
        for i, (name, p) in enumerate(running(network)):
            values = uniform(seed, 1000 + i, p.numel())
            values = 0.5 + values if name.endswith("var") else 0.2 * values - 0.1
            p.copy_(torch.from_numpy(values.astype(numpy.float32)).double())


def running(network):
    return [(name, b) for name, b in network.named_buffers() if name.endswith(("mean", "var"))]


def network_of(case):
    torch.manual_seed(0)
    name, architecture, pooling, frame, hop, hidden, layers, attention, projection, embedding = case[:10]
    network = Network(architecture, pooling, frame, hop, hidden, layers, attention, projection, embedding).double()
    network.train()
    if case[15]:
        network.cnn_frontend.eval()
        for p in network.cnn_frontend.parameters():
            p.requires_grad_(False)
    fill(network, case[16], hidden)
    return network


def forward(network, case, clips, seed):
    """Loss and embeddings; batch statistics group by group."""
    groups, drop_layers, drop_head = case[11], case[13], case[14]
    x = torch.cat([network.features(group) for group in clips.chunk(groups)])
    masks = {}
    if drop_layers > 0:
        for layer in range(network.gru.num_layers - 1):
            masks[layer] = mask(seed, layer, (*x.shape[:2], network.gru.hidden_size), drop_layers)
    if drop_head > 0:
        masks["head"] = mask(seed, 8, (len(x), network.projection[0].out_features), drop_head)
    if not masks:
        assert torch.allclose(network.states(x, masks), network.gru(x)[0], rtol=0, atol=1e-14)
    embeddings = network.head(network.states(x, masks), masks)
    return triplet_loss(embeddings), embeddings


def line(name, tensor):
    values = tensor.detach().double().flatten().numpy()
    count = len(values)
    with numpy.errstate(over="ignore"):
        signs = 1 - 2 * (mix(numpy.arange(1, count + 1, dtype=numpy.uint64)) >> numpy.uint64(63)).astype(float)
    some = [values[k * count // min(count, 24)] for k in range(min(count, 24))]
    numbers = [numpy.abs(values).max(), (values * signs).sum(), *some]
    return f"{name} " + " ".join(f"{x:.8g}" for x in numbers) + "\n"


def head(case):
    return "case " + " ".join(str(x) for x in case) + "\n"


def write_gradients(path):
    with open(path, "w") as file:
        for case in CASES:
            network = network_of(case)
            loss, embeddings = forward(network, case, clips_of(case, 0), case[16])
            loss.backward()
            file.write(head(case) + f"loss {loss.item():.10g}\n" + line("embeddings", embeddings))
            for name, p in network.named_parameters():
                file.write(line(name, p.grad if p.grad is not None else torch.zeros_like(p)))
            for name, b in running(network):
                file.write(line(name, b))
            print(case[0], loss.item())


def write_steps(path):
    """50 steps of AdamW; dropout's seed is the step."""
    network = network_of(STEPS)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4)
    batches = [clips_of(STEPS, batch) for batch in range(BATCHES)]
    with open(path, "w") as file:
        file.write(head(STEPS))
        for step in range(50):
            optimiser.zero_grad()
            loss, _ = forward(network, STEPS, batches[step % BATCHES], step)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            file.write(f"loss {loss.item():.10g}\n")
        for name, p in network.named_parameters():
            file.write(line(name, p))
        for name, b in running(network):
            file.write(line(name, b))
    print("steps", loss.item())


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    numpy.seterr(over="ignore")
    write_gradients(os.path.join(sys.argv[1], "training.txt"))
    write_steps(os.path.join(sys.argv[1], "training_steps.txt"))


main()
