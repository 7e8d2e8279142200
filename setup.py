"""Package metadata. Tool settings are in ``pyproject.toml``."""

import re
from pathlib import Path

from setuptools import find_namespace_packages, setup

ROOT = Path(__file__).parent
PACKAGE = "videosdk.plugins.lokutor"


def read_version() -> str:
    """Return the version without importing the package (its dependencies may not be there yet)."""
    source = (ROOT / "videosdk/plugins/lokutor/version.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    assert match, "version.py has no __version__"
    return match.group(1)


# What a newcomer needs to hear it without an account: the voice, and the picture of the conversation.
LOCAL = ["espeakng-loader>=0.2.4", "matplotlib>=3.9", "numpy>=1.26"]
# The peers that the benchmark measures beside it, and a certificate for its own server.
BENCH = [
    *LOCAL,
    "trustme>=1.2",
    "videosdk-plugins-cartesia>=1.0.30",
    "videosdk-plugins-lmnt>=1.0.30",
]
# What builds the documents.
DOCS = ["furo>=2025.7", "myst-parser>=4", "sphinx>=8.1", "sphinxcontrib-mermaid>=1"]
TEST = [
    *LOCAL,
    "build>=1.2",
    "hypothesis>=6.100",
    "lokutor==1.6.0",
    "mypy~=2.4",
    "pytest>=8.4",
    "pytest-asyncio>=1.4",
    "pytest-xdist>=3.6",
    "ruff~=0.17.5",
    "setuptools>=77",
    "trustme>=1.2",
    "uvloop>=0.21; sys_platform != 'win32'",
]

setup(
    name="videosdk-plugins-lokutor",
    version=read_version(),
    description="Lokutor text-to-speech for VideoSDK's agent framework",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["videosdk", "lokutor", "tts", "text-to-speech", "voice-agent", "barge-in"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: AsyncIO",
        "Intended Audience :: Developers",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Sound/Audio :: Speech",
        "Typing :: Typed",
    ],
    python_requires=">=3.11,<3.14",
    # No videosdk/__init__.py and no videosdk/plugins/__init__.py: both would hide what others install there.
    packages=find_namespace_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["py.typed"]},
    install_requires=[
        "videosdk-agents>=1.0.30",
        "aiohttp>=3.11",
        "av>=14",
    ],
    entry_points={"console_scripts": ["lokutor = videosdk.plugins.lokutor.__main__:run"]},
    extras_require={"bench": BENCH, "docs": DOCS, "local": LOCAL, "test": TEST},
)
