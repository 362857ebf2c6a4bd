"""Where a model computes: the devices of this machine, the dtypes they know, their memory and threads."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from model_core.api.errors import InputError

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}

# How allocators that raise a plain RuntimeError word it: the CPU's (Linux, Windows), cuBLAS and Metal.
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")

CPUS = Path("/sys/devices/system/cpu")  # where Linux says which cores its CPUs are
MEMINFO = Path("/proc/meminfo")  # where Linux says how much memory a program may still take


@dataclass(frozen=True)
class Device:
    """`name` is what torch and the command line call it; memory is None where the system does not say.

    free_bytes  what was left of the memory when the device was looked at
    """

    name: str
    title: str
    memory_bytes: int | None
    free_bytes: int | None = None


def devices() -> list[Device]:
    """What this machine can compute on: the CPU first, then each NVIDIA GPU, then Apple's."""
    found = [Device("cpu", "CPU", cpu_memory(), cpu_free())]
    for n in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(n)
        found.append(Device(f"cuda:{n}", gpu.name, gpu.total_memory, cuda_free(n)))
    if torch.backends.mps.is_available():
        memory = torch.mps.recommended_max_memory()
        found.append(Device("mps", "Apple GPU", memory, memory - torch.mps.current_allocated_memory()))
    return found


def cpu_memory() -> int | None:
    """Bytes of main memory; None on Windows, which has no sysconf."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def cpu_free() -> int | None:
    """Bytes of main memory that a program can still take without swapping; None where the system is not Linux."""
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(kilobytes[0]) * 1024 if kilobytes else None


def cuda_free(n: int) -> int:
    """Bytes of a GPU that this process can still take: what is free, and what torch keeps for it unused."""
    unused = torch.cuda.memory_reserved(n) - torch.cuda.memory_allocated(n)
    return torch.cuda.mem_get_info(n)[0] + unused


def find(name: str) -> Device:
    """The device of this name; "cuda" is the first GPU. InputError says which there are."""
    found = {device.name: device for device in devices()}
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in found:
        raise InputError(f"there is no device '{name}' here; this machine has {', '.join(found)}")
    return found[wanted]


def check(device: str, dtype: str) -> tuple[torch.device, torch.dtype]:
    """The device and dtype of these names. InputError for an unknown one, or two that do not go together."""
    if dtype not in DTYPES:
        raise InputError(f"there is no dtype '{dtype}'; choose one of {', '.join(DTYPES)}")
    where, kind = torch.device(find(device).name), DTYPES[dtype]
    with memory_errors(f"a first test of {device}", "another device"):
        try:
            x = torch.ones(2, 2, device=where, dtype=kind)
            (x @ x).softmax(-1).sum().item()
        except (RuntimeError, TypeError) as error:
            if is_out_of_memory(error):
                raise
            raise InputError(f"{device} cannot compute in {dtype}: choose another dtype or device") from None
    return where, kind


def is_out_of_memory(error: BaseException) -> bool:
    """True for every way in which torch says that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


@contextmanager
def memory_errors(
    what: str, instead: str = "a shorter prompt, a smaller dtype or another device"
) -> Iterator[None]:
    """Turns running out of memory inside the block into an InputError: `what` needed it, use `instead`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(f"{what} needs more memory than is free: use {instead}") from None


def configure_threads(spare: int = 0) -> None:
    """One thread a physical core, in every entry point: how sums are split decides their last bits.

    spare  cores that are left to whoever works beside it, where there are more than these
    OMP_NUM_THREADS, which torch has read by now, takes precedence: the person asked for it.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, physical_cores() - spare))


def physical_cores() -> int:
    """Cores that this process may use, at least 1. Threads of one core count once where Linux tells."""
    if not hasattr(os, "sched_getaffinity"):
        return torch.get_num_threads()  # on macOS and Windows torch counts physical cores by itself
    cores = set()
    for cpu in os.sched_getaffinity(0):
        topology = CPUS / f"cpu{cpu}" / "topology"
        try:
            cores.add(tuple((topology / name).read_text() for name in ("physical_package_id", "core_id")))
        except OSError:
            cores.add((str(cpu),))
    return max(1, len(cores))
