"""Teaches papermill to write parameters as TypeScript and to read them from a notebook's parameters cell.

papermill has a translator for each language that it can parameterize, and none for TypeScript. It loads what other
packages offer as engines (the entry point in pyproject.toml); being loaded is all that this module needs.
"""

import json
import math
import re


def __getattr__(name):
    # The engine of that entry point is papermill's own. It is looked up when asked for: papermill may still be loading.
    if name == "NBClientEngine":
        from papermill.engines import NBClientEngine

        return NBClientEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


from papermill.models import Parameter  # noqa: E402
from papermill.translators import Translator, papermill_translators  # noqa: E402

# Beyond it a JavaScript number is not the integer that was given.
LARGEST_SAFE_INTEGER = 2**53 - 1

DECLARATION = re.compile(r"\s*(?:export\s+)?(?:let|const|var)\s")
PARTS = re.compile(
    r"""\s*(?:export\s+)?(?:let|const|var)\s+
    (?P<name>[\w$]+)\s*
    (?::\s*(?P<type>(?:=>|[^=])+?)\s*)?
    =(?![=>])\s*
    (?P<value>(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|[^"'`])*?)
    \s*;?\s*
    (?://\s*(?P<help>.*))?$""",
    re.VERBOSE | re.DOTALL,
)
QUOTED = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`""")
QUOTED_OR_COMMENT = re.compile(rf"({QUOTED.pattern})|//.*|/\*.*?\*/")


class TypeScriptTranslator(Translator):
    """Python values as TypeScript, and a parameters cell as papermill's list of parameters."""

    @classmethod
    def translate_none(cls, val):
        return "null"

    @classmethod
    def translate_escaped_str(cls, str_val):
        # JSON's strings are JavaScript's; other things (dates) are given as their text.
        return json.dumps(str(str_val))

    @classmethod
    def translate_int(cls, val):
        return str(val) if abs(val) <= LARGEST_SAFE_INTEGER else f"{val}n"

    @classmethod
    def translate_float(cls, val):
        if math.isnan(val):
            return "NaN"
        if math.isinf(val):
            return "Infinity" if val > 0 else "-Infinity"
        return repr(val)

    @classmethod
    def translate_list(cls, val):
        return f"[{', '.join(cls.translate(item) for item in val)}]"

    @classmethod
    def translate_dict(cls, val):
        pairs = (f"{json.dumps(str(key))}: {cls.translate(item)}" for key, item in val.items())
        return f"{{ {', '.join(pairs)} }}" if val else "{}"

    @classmethod
    def translate(cls, val):
        return super().translate(list(val) if isinstance(val, tuple) else val)

    @classmethod
    def comment(cls, cmt_str):
        return f"// {cmt_str}".strip()

    @classmethod
    def assign(cls, name, str_val):
        # YAML reads a bare on, yes or 3 as something else than a name.
        if not isinstance(name, str) or not re.fullmatch(r"(?!\d)[\w$]+", name):
            raise ValueError(f"The parameter {name!r} can't be the name of a variable in TypeScript.")
        return f"let {name} = {str_val};"

    @classmethod
    def inspect(cls, parameters_cell):
        """The cell's declarations: name, type as written or as told by the value, default, and the comment behind."""
        found = []
        for statement in _statements(parameters_cell["source"]):
            parts = PARTS.match(statement)
            if parts is None:
                continue
            value = " ".join(parts["value"].split())
            declared = " ".join((parts["type"] or "").split())
            found.append(
                Parameter(
                    name=parts["name"],
                    inferred_type_name=declared or _type_of(value),
                    default=value,
                    help=(parts["help"] or "").strip(),
                )
            )
        return found


def _statements(source):
    """The texts of the declarations, comments left out but that on the last line of each."""
    groups = []
    for line in source.splitlines():
        if DECLARATION.match(line):
            groups.append([line])
        elif groups and _is_open(groups[-1]) and _code(line).strip():
            groups[-1].append(line)
    return ["\n".join([*(_code(line) for line in group[:-1]), group[-1]]) for group in groups]


def _is_open(lines):
    """Whether a declaration goes on in the next line: a bracket is open, or the value is still to come."""
    code = QUOTED.sub("", "\n".join(_code(line) for line in lines)).rstrip()
    return code.endswith("=") or any(code.count(a) > code.count(b) for a, b in ("()", "[]", "{}"))


def _code(line):
    """The line without its comment."""
    return QUOTED_OR_COMMENT.sub(lambda match: match[1] or "", line)


def _type_of(value):
    """The type that the text of a value shows; papermill's word for an unknown one is 'None'."""
    if value in ("true", "false"):
        return "boolean"
    if value[:1] in ("'", '"', "`"):
        return "string"
    if re.fullmatch(r"-?(?:[\d_]+\.?[\d_]*|\.\d+)(?:e[+-]?\d+)?|-?Infinity|NaN", value):
        return "number"
    return "None"


papermill_translators.register("typescript", TypeScriptTranslator)
