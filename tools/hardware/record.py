"""Records of measurements: how they are named, built and written. check_record.py knows the form."""
import json
import pathlib
import re

FORMAT = 1


def slug(text):
    """A file name's part: lower case, words joined by hyphens. "NVIDIA H200" -> "nvidia-h200"."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unknown"


def file_name(device, day, taken=()):
    """DEVICE-DAY.json; a second record of one day gets -2, and so on."""
    base = f"{slug(device)}-{day}"
    number, name = 1, f"{base}.json"
    while name in taken:
        number += 1
        name = f"{base}-{number}.json"
    return name


def free_path(folder, device, day):
    folder = pathlib.Path(folder)
    taken = {path.name for path in folder.glob("*.json")} if folder.is_dir() else set()
    return folder / file_name(device, day, taken)


def text_of(record):
    """JSON with one line for every key, and for every entry of a list of maps."""
    lines = []
    for key, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            entries = ",\n  ".join(json.dumps(entry, ensure_ascii=False) for entry in value)
            lines.append(f'{json.dumps(key)}: [\n  {entries}]')
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return "{" + ",\n ".join(lines) + "}\n"


def write(path, record):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text_of(record), encoding="utf-8")
    part.replace(path)


def peak_bytes(predicted):
    return max((device.get("peak_memory_bytes", 0) for device in predicted.get("devices", [])),
               default=predicted.get("peak_memory_bytes", 0))


def memory_error(result):
    """The largest device's error of memory really held, else of memory as accounted."""
    held = result.get("held_bytes") or []
    planned = [device.get("peak_memory_bytes", 0)
               for device in result["predicted"].get("devices", [])]
    if held and len(held) == len(planned):
        errors = [real / plan - 1.0 for real, plan in zip(held, planned) if plan > 0]
        return max(errors, key=abs, default=None)
    return result.get("comparison", {}).get("peak_memory_error")


def done_row(row, result):
    """`row` (names) with the figures of an `execute --json` result."""
    predicted, measured = result["predicted"], result["measured"]
    time = "iteration_ns" if measured.get("iteration_ns") else "makespan_ns"
    comparison = result.get("comparison", {})
    return {**row, "status": "ok", "time": time.removesuffix("_ns"),
            "predicted_ns": predicted[time], "measured_ns": measured[time],
            "error": measured[time] / predicted[time] - 1.0,
            "makespan_error": comparison.get("makespan_error"),
            "mean_start_error": comparison.get("mean_start_error"),
            "memory_error": memory_error(result), "predicted_peak_bytes": peak_bytes(predicted),
            "held_bytes": result.get("held_bytes", []), "kinds": comparison.get("kinds", []),
            "makespans_ns": result.get("makespans_ns", []),
            "iterations_ns": result.get("iterations_ns", []),
            "counters": result.get("counters", {})}


def failed_row(row, message, status="failed"):
    return {**row, "status": status, "message": message}
