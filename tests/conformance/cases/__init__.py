"""All cases, by importing the modules that have them."""

from tests.conformance.cases import callbacks, calls, crdts, http, opaque, registration, workflows
from tests.conformance.suite import CASES

__all__ = ["CASES", "callbacks", "calls", "crdts", "http", "opaque", "registration", "workflows"]
