"""onnxruntime on one thread, driven over pipes: each line asks for so many calls, answered by the
milliseconds per call (by the clock, and of processor time), and 0 by the output."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import onnxruntime


def main(stem: str) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{stem}.onnx", options,
                                           providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    feed = {"x": np.fromfile(f"{stem}.x.bin", np.float32).reshape(shape)}
    for line in sys.stdin:
        count = int(line)
        start, used = time.perf_counter(), time.process_time()
        for _ in range(max(count, 1)):
            (result,) = session.run(None, feed)
        spent = time.perf_counter() - start, time.process_time() - used
        answer = [1000 * s / count for s in spent] if count else result.ravel().tolist()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main(sys.argv[1])
