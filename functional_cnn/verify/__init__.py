"""The proof of a backward pass: ``check_vjp`` for any function, ``python -m functional_cnn.verify`` for every rule."""

from functional_cnn.verify._check import CHECKS, Report, check_vjp

__all__ = ["CHECKS", "Report", "check_vjp"]
