"""The ops of `lors bench` in eager PyTorch, dense with a mask: reads commands on standard input, one JSON array a line.

    ["open", DIRECTORY, rows, cols, tokens, rank, threads]   reads w, x, dy, up and down (f32) from files of these names
    ["run", OP]       computes once; answers its seconds
    ["result", OP]    computes once and writes the results to files
    ["close"]

The LoRS step is the authors' (hyx1999/LoRS): merge W + s B A in one pass, times the mask in place, a linear layer; backward
it merges again, and takes the factors' gradients by the reordered products.
"""

import json
import os
import sys
import time

import torch
import torch.nn.functional as F


def opened(directory, rows, cols, tokens, rank, threads):
    torch.set_num_threads(threads)

    def load(name, *shape):
        with open(os.path.join(directory, name), "rb") as file:
            return torch.frombuffer(bytearray(file.read()), dtype=torch.float32).view(*shape)

    w, x, dy = load("w", rows, cols), load("x", tokens, cols), load("dy", tokens, rows)
    up, down = load("up", rows, rank), load("down", rank, cols)
    mask = (w != 0).float()

    def merge():
        return torch.addmm(w, up, down).mul_(mask)

    def step():
        y = F.linear(x, merge())
        dx = dy @ merge()
        return {"y": y, "dx": dx, "dUp": dy.t() @ (x @ down.t()), "dDown": (dy @ up).t() @ x}

    return {
        "spmm": lambda: {"y": F.linear(x, w)},
        "spmmT": lambda: {"dx": dy @ w},
        "merge": lambda: {"merged": merge()},
        "sddmm": lambda: {"h": (dy.t() @ x).mul_(mask)},
        "step": step,
    }


def main():
    print(torch.__version__, flush=True)
    ops, directory = {}, ""
    for line in sys.stdin:
        command, *words = json.loads(line)
        answer = "done"
        with torch.no_grad():
            if command == "open":
                directory = words[0]
                ops = opened(*words)
            elif command == "run":
                began = time.perf_counter()
                ops[words[0]]()
                answer = time.perf_counter() - began
            elif command == "result":
                for name, tensor in ops[words[0]]().items():
                    tensor.contiguous().numpy().tofile(os.path.join(directory, name))
            else:
                ops = {}
        print(answer, flush=True)


main()
