"""No dead options: whatever can be set is read by something other than its own check."""

import ast
import re
from collections import Counter

from repository import own_files, source_files

# results, no configs: told whole, through asdict
_RESULTS = {
    "Cut",
    "FaceCover",
    "KindFound",
    "KeyFrame",
    "Motion",
    "Record",
    "Refined",
    "Removed",
    "Reply",
    "Technical",
    "TextCover",
    "VideoInfo",
    "Written",
}
_READ_BY_TRANSFORMERS = {"tie_word_embeddings"}


def _name(node):
    return ast.unparse(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2]


def _is_config(node):
    by_decorator = any(_name(decorator) == "dataclass" for decorator in node.decorator_list)
    return by_decorator or any(_name(base) == "PreTrainedConfig" for base in node.bases)


def _fields(node):
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and "ClassVar" not in ast.unparse(statement.annotation):
            yield statement.target.id


def _reads(tree):
    return Counter(
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    )


def _reads_of_pages():
    pages = [path for path in own_files() if path.suffix == ".jinja"]
    return Counter(name for path in pages for name in re.findall(r"\.(\w+)", path.read_text(encoding="utf-8")))


def _unread():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in source_files()}
    reads = sum((_reads(tree) for tree in trees.values()), _reads_of_pages())
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef) or not _is_config(node) or node.name in _RESULTS:
                continue
            checks = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__post_init__"]
            checked = sum(map(_reads, checks), Counter())
            for field in _fields(node):
                if reads[field] <= checked[field] and field not in _READ_BY_TRANSFORMERS:
                    yield f"{path.name}: {node.name}.{field}"


def test_every_field_of_every_config_is_read_somewhere():
    assert list(_unread()) == []


def test_a_field_that_only_its_own_check_reads_counts_as_unread():
    tree = ast.parse("class A:\n def __post_init__(self):\n  assert self.size > 0\n")
    (node,) = tree.body
    assert _reads(tree)["size"] == _reads(node.body[0])["size"] == 1
