"""What a record says about the machine. Nothing here changes a setting of it."""
import ctypes
import os
import pathlib
import platform
import re


def _library(*names):
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


class NoGpu(Exception):
    """Why there is no GPU to check."""


def gpu():
    """{"device", "driver", "gpus"} of the first GPU; raises NoGpu. Creates no context on it."""
    cuda = _library("libcuda.so.1")
    if cuda is None:
        raise NoGpu("no CUDA driver (libcuda.so.1) on this machine")
    status = cuda.cuInit(0)
    if status != 0:
        raise NoGpu(f"the CUDA driver does not start (cuInit returned {status})")
    count = ctypes.c_int()
    cuda.cuDeviceGetCount(ctypes.byref(count))
    if count.value < 1:
        raise NoGpu("the CUDA driver is there, but no GPU")
    device, name = ctypes.c_int(), ctypes.create_string_buffer(128)
    cuda.cuDeviceGet(ctypes.byref(device), 0)
    cuda.cuDeviceGetName(name, len(name), device)
    return {"device": name.value.decode(errors="replace"), "gpus": count.value,
            "driver": driver_version(cuda)}


def driver_version(cuda):
    """"580.65.06 (CUDA 13.0)": the module's version where the kernel tells it."""
    supported = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(supported))
    text = f"CUDA {supported.value // 1000}.{supported.value % 1000 // 10}"
    try:
        about = pathlib.Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return text
    match = re.search(r"\b(\d+\.\d+(?:\.\d+)?)\b", about)
    return f"{match[1]} ({text})" if match else text


def nccl_version(library=None):
    """"2.28.3", or None where there is no NCCL."""
    nccl = library or _library("libnccl.so.2")
    if nccl is None:
        return None
    version = ctypes.c_int()
    if nccl.ncclGetVersion(ctypes.byref(version)) != 0:
        return None
    return decode_nccl(version.value)


def decode_nccl(code):
    """NCCL_VERSION_CODE: major * 10000 + minor * 100 + patch since 2.9."""
    return f"{code // 10000}.{code % 10000 // 100}.{code % 100}"


def cores():
    return len(os.sched_getaffinity(0))


def processor():
    try:
        about = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    match = re.search(r"^model name\s*:\s*(.+)$", about, re.MULTILINE)
    return match[1].strip() if match else platform.machine()


def host():
    return {"device": "host", "processor": processor(), "cores": cores()}
