"""`@script`: front end, transforms, code generation and the call path put together."""

from tracejit.scripted.compile_time import CompileTime
from tracejit.scripted.decorator import ScriptedModule, script
from tracejit.scripted.function import ScriptedFunction
from tracejit.scripted.tracing import TracedFunction, trace

__all__ = ["CompileTime", "ScriptedFunction", "ScriptedModule", "TracedFunction", "script", "trace"]
