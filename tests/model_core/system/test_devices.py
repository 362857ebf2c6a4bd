import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model_core.api.errors import InputError
from model_core.system import devices
from model_core.system.devices import Device, check, configure_threads, find, memory_errors, physical_cores

pytestmark = pytest.mark.unit


def test_cpu_comes_first_and_says_its_memory() -> None:
    cpu = devices.devices()[0]
    assert (cpu.name, cpu.title) == ("cpu", "CPU")
    assert cpu.memory_bytes is None or cpu.memory_bytes > 2**29


def test_cpu_memory_is_unknown_where_the_system_has_no_sysconf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert devices.devices()[0].memory_bytes is None


def test_free_memory_is_what_linux_says_is_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  16000 kB\nMemFree: 1 kB\nMemAvailable:   12000 kB\n")
    monkeypatch.setattr(devices, "MEMINFO", tmp_path / "meminfo")
    assert devices.devices()[0].free_bytes == 12_000 * 1024
    monkeypatch.setattr(devices, "MEMINFO", tmp_path / "none")
    assert devices.devices()[0].free_bytes is None


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_cpu_computes_in_every_dtype(dtype: str) -> None:
    assert check("cpu", dtype) == (torch.device("cpu"), getattr(torch, dtype))


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "", "cpu:0", "CPU"])
def test_unknown_device_is_refused_with_those_there_are(device: str) -> None:
    with pytest.raises(InputError, match=rf"no device '{device}' here; this machine has cpu"):
        check(device, "float32")


def test_cuda_is_the_first_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Device("cuda:0", "GPU", 1), Device("cuda:1", "GPU", 1)
    monkeypatch.setattr(devices, "devices", lambda: [Device("cpu", "CPU", None), first, second])
    assert find("cuda") is first
    assert find("cuda:1") is second


@pytest.mark.parametrize("dtype", ["int8", "float", "", "torch.float32"])
def test_unknown_dtype_is_refused_with_those_there_are(dtype: str) -> None:
    with pytest.raises(InputError, match=f"no dtype '{dtype}'; choose one of float32, float64"):
        check("cpu", dtype)


@pytest.mark.parametrize(
    "error",
    [
        TypeError("Cannot convert a MPS Tensor to float64 dtype"),
        RuntimeError("\"softmax_lastdim_kernel_impl\" not implemented for 'Half'"),
    ],
)
def test_dtype_that_the_device_cannot_compute_in_is_refused(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(torch, "ones", fail)
    with pytest.raises(InputError, match="cpu cannot compute in float64: choose another dtype or device"):
        check("cpu", "float64")


def test_device_without_free_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    monkeypatch.setattr(torch, "ones", fail)
    with pytest.raises(InputError, match="a first test of cpu needs more memory than is free"):
        check("cpu", "float32")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:80] DefaultCPUAllocator: not enough memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 5.03 GB)"),
    ],
)
def test_memory_that_ran_out_is_one_line_of_advice(error: Exception) -> None:
    advice = "the run needs more memory than is free: use a shorter prompt"
    with pytest.raises(InputError, match=advice), memory_errors("the run"):
        raise error


def test_allocation_that_no_machine_has_is_one_line() -> None:
    advice = "the map needs more memory than is free: use a smaller map"
    with pytest.raises(InputError, match=advice), memory_errors("the map", "a smaller map"):
        torch.empty(2**50)


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("other")]
)
def test_other_errors_pass_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, memory_errors("the run"):
        raise error
    assert caught.value is error


def test_hyperthreads_of_a_core_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for cpu, core in enumerate([0, 1, 0, 1, 2]):
        topology = tmp_path / f"cpu{cpu}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text("0\n")
        (topology / "core_id").write_text(f"{core}\n")
    monkeypatch.setattr(devices, "CPUS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    assert physical_cores() == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 4, 7}, raising=False)
    assert physical_cores() == 4  # of 7 nothing is known


def test_cores_are_left_to_torch_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert physical_cores() == torch.get_num_threads()


def test_threads_are_the_physical_cores_unless_the_person_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(devices, "physical_cores", lambda: 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    configure_threads()
    assert asked == []
    monkeypatch.delenv("OMP_NUM_THREADS")
    configure_threads()
    assert asked == [3]


@pytest.mark.process
def test_thread_count_holds_in_a_fresh_process() -> None:
    code = (
        "import torch; from model_core.system.devices import configure_threads, physical_cores; configure_threads(); "
        "print(torch.get_num_threads() == physical_cores() >= 1)"
    )
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
