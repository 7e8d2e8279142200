"""Builds the documents: ``python -m sphinx -W --keep-going -b html docs docs/_build/html``."""

from videosdk.plugins.lokutor import __version__

REPOSITORY = "https://github.com/lokutor-ai/videosdk-plugins-lokutor"
"""Where the project is hosted. ``tests/unit/test_documents.py`` holds every link to it against this."""
BRANCH = "main"

project = "videosdk-plugins-lokutor"
author = "The videosdk-plugins-lokutor authors"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxcontrib.mermaid"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"{project} {release}"
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": BRANCH,
    "source_directory": "docs/",
}
html_extra_path = ["llms.txt"]

mermaid_height = "auto"

myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
