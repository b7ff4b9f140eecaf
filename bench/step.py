"""A LoRS training step in eager PyTorch, for bench/step.mjs: reads commands on standard input, one line each.

    step    one step; answers `SECONDS LOSS`
    peak    answers the highest resident set so far, in bytes

Before any command it says `blas optimised GFLOPS`, how fast torch multiplies, then `ready VERSION`; or `blas reference GFLOPS`, and
ends: that is no measure of PyTorch.

The model is a Llama with random weights, f32, all seven projections with a frozen mask and rank-r factors, clipping and AdamW.
The LoRS linear is the authors' (hyx1999/LoRS): a custom autograd function that merges W + s B A, multiplies by the mask,
saves only x and the factors, merges again in the backward pass, and takes the factors' gradients by the reordered products.
The merge is `addmm` (one pass) and `mul_` in place. The mask is f32 unless the last argument says `bool`: that takes a
quarter of its memory.
"""

import json
import resource
import sys
import time

import torch
import torch.nn.functional as F

# GFLOP/s of one thread below which torch must stand on the reference BLAS (1 to 3 measured; OpenBLAS with AVX2: 80).
SLOWEST_BLAS = 8.0


class LoRS(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, mask, up, down, scaling):
        ctx.save_for_backward(x, weight, mask, up, down)
        ctx.scaling = scaling
        merged = torch.addmm(weight, up, down, alpha=scaling).mul_(mask)
        return F.linear(x, merged)

    @staticmethod
    def backward(ctx, dy):
        x, weight, mask, up, down = ctx.saved_tensors
        s = ctx.scaling
        merged = torch.addmm(weight, up, down, alpha=s).mul_(mask)
        dx = dy @ merged if ctx.needs_input_grad[0] else None
        dup = (dy.t() @ (x @ down.t())).mul_(s)
        ddown = ((dy @ up).t() @ x).mul_(s)
        return dx, None, None, dup, ddown, None


class Linear:
    def __init__(self, rows, cols, rank, pattern, mask, parameters):
        if pattern == "2:4":
            kept = torch.rand(rows * cols // 4, 4).topk(2, dim=1).indices
            self.mask = torch.zeros(rows * cols // 4, 4).scatter_(1, kept, 1.0).view(rows, cols)
        else:
            self.mask = (torch.rand(rows, cols) < (1.0 if pattern == "dense" else float(pattern))).float()
        self.weight = (torch.randn(rows, cols) * (0.5 / cols**0.5)).mul_(self.mask)
        self.up = torch.zeros(rows, rank, requires_grad=True)
        self.down = ((torch.rand(rank, cols) - 0.5) * (2 / cols**0.5)).requires_grad_()
        if mask == "bool":
            self.mask = self.mask.bool()
        parameters += [self.up, self.down]

    def __call__(self, x):
        return LoRS.apply(x, self.weight, self.mask, self.up, self.down, 2.0)


def norm(x, gain, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * gain


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


class Llama:
    def __init__(self, config, tokens, rank, pattern, mask):
        h, f = config["hidden_size"], config["intermediate_size"]
        self.heads, self.kv = config["num_attention_heads"], config["num_key_value_heads"]
        self.d, self.eps = h // self.heads, config["rms_norm_eps"]
        self.parameters = []
        make = lambda rows, cols: Linear(rows, cols, rank, pattern, mask, self.parameters)
        kv = self.kv * self.d
        self.blocks = [
            dict(q=make(h, h), k=make(kv, h), v=make(kv, h), o=make(h, h), gate=make(f, h), up=make(f, h), down=make(h, f),
                 n1=torch.ones(h), n2=torch.ones(h))
            for _ in range(config["num_hidden_layers"])
        ]
        self.norm = torch.ones(h)
        self.table = torch.randn(config["vocab_size"], h) * 0.02
        self.head = self.table if config["tie_word_embeddings"] else torch.randn(config["vocab_size"], h) * 0.02
        angles = torch.outer(torch.arange(tokens).float(), config["rope_theta"] ** (-torch.arange(0, self.d, 2).float() / self.d))
        angles = torch.cat((angles, angles), dim=-1)
        self.cos, self.sin = angles.cos(), angles.sin()
        self.causal = torch.full((tokens, tokens), float("-inf")).triu_(1)

    def attention(self, b, x):
        t = x.shape[0]
        split = lambda y, n: y.view(t, n, self.d).transpose(0, 1)
        q = rotate(split(b["q"](x), self.heads), self.cos, self.sin)
        k = rotate(split(b["k"](x), self.kv), self.cos, self.sin)
        v = split(b["v"](x), self.kv)
        share = self.heads // self.kv
        k, v = k.repeat_interleave(share, 0), v.repeat_interleave(share, 0)
        scores = torch.baddbmm(self.causal, q, k.transpose(1, 2), alpha=self.d**-0.5)
        return b["o"]((torch.softmax(scores, -1) @ v).transpose(0, 1).reshape(t, -1))

    def loss(self, ids):
        x = self.table[ids[:-1]]
        for b in self.blocks:
            x = x + self.attention(b, norm(x, b["n1"], self.eps))
            y = norm(x, b["n2"], self.eps)
            x = x + b["down"](F.silu(b["gate"](y)) * b["up"](y))
        return F.cross_entropy(F.linear(norm(x, self.norm, self.eps), self.head), ids[1:])


def multiply_speed():
    """GFLOP/s of a square product, best of three: tens with an optimised BLAS, about one or two with the reference one."""
    a, b, n = torch.rand(512, 512), torch.rand(512, 512), 512
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - began)
    return 2 * n**3 / best / 1e9


def main():
    config, tokens, rank, pattern, mask = json.load(open(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    speed = multiply_speed()
    blas = "reference" if speed < SLOWEST_BLAS else "optimised"
    print("blas", blas, f"{speed:.1f}", flush=True)
    if blas == "reference":
        return
    model = Llama(config, tokens, rank, pattern, mask)
    optimizer = torch.optim.AdamW(model.parameters, lr=1e-4, weight_decay=0.0)
    ids = torch.randint(0, config["vocab_size"], (tokens + 1,))
    print("ready", torch.__version__, flush=True)
    for line in sys.stdin:
        if line.strip() == "peak":
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)
            continue
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = model.loss(ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters, 1.0)
        optimizer.step()
        print(time.perf_counter() - began, loss.item(), flush=True)


main()
