"""Rules: a layer's forward and its hand-derived backward, and how one is exchanged for another.

Every public op checks its arguments, puts its static options into a hashable ``spec`` and calls
``apply(name, spec, *args)``. Which rule then runs is looked up here: the table ``RULES``, seen through
the exchanges that are in force. The exchanges live in a ``jax.make_user_context``, which is part of the
key of every cache JAX keeps, so a function traced under one exchange is traced anew under another.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name


class Rule(NamedTuple):
    """One layer: what it computes and how it is differentiated.

    Attributes:
      name: the op's name, as jaxprs and profiles show it.
      reference: ``(spec, *args) -> out``, the textbook definition in plain lax. It can be differentiated
        by JAX in any mode and is what ``fwd`` and ``bwd`` are proved against.
      fwd: ``(spec, *args) -> (out, residuals)``. It may use a faster formulation than ``reference``.
      bwd: ``(spec, residuals, dout) -> cotangents``, a tuple with one cotangent for each of ``args``, in
        the argument's dtype and sharding; ``None`` for integers, keys and absent arguments. It is plain
        differentiable JAX, so that second derivatives exist.
    """

    name: str
    reference: Callable[..., Any]
    fwd: Callable[..., Any]
    bwd: Callable[..., Any]


Transformation = Callable[[Rule], Rule]

_rules: dict[str, Rule] = {}

RULES: Mapping[str, Rule] = MappingProxyType(_rules)
"""Every rule of the library by its op's name. Read-only: exchange a rule with ``use_rules``."""


def define(rule: Rule) -> Rule:
    """Enters a rule into the table. Called once per op, where the op is written."""
    if rule.name in _rules:
        raise ValueError(f"define: there is a rule named {rule.name!r} already")
    _rules[rule.name] = rule
    return rule


# A layer of exchanges is a sorted tuple of (op, transformation) pairs, or _AUTODIFF; the context's value
# is the tuple of layers, outermost first.
_AUTODIFF = "autodiff"
_exchanges = jax.make_user_context(default_value=())


def use_rules(**transformations: Transformation) -> AbstractContextManager[None]:
    """Exchanges rules inside a ``with`` block.

    Each keyword names an op and gives a transformation, a function from ``Rule`` to ``Rule``. Blocks nest:
    the inner transformation receives the rule that the outer one made. The exchange holds for what is
    traced or run inside the block, in this thread; a function jitted outside is traced anew inside and
    returns to its old trace afterwards. Equal transformations share one trace, so give a transformation
    with parameters an ``__eq__`` and a ``__hash__`` (a frozen dataclass with ``__call__`` has both).

    Args:
      **transformations: op name to transformation.

    Returns:
      A context manager.

    Raises:
      ValueError: an op name is unknown.
      TypeError: a transformation is not callable or not hashable; or, where its op is called, it does not
        return a ``Rule``. (Inside a rule call ``rule.fwd``, not the op, which would be this rule again.)

    Example:
      >>> import jax, functional_cnn as fcnn
      >>> def straight_through(rule):  # the gradient of relu as if it were the identity
      ...     return rule._replace(bwd=lambda spec, residuals, dy: (dy,))
      >>> with fcnn.use_rules(relu=straight_through):
      ...     print(jax.grad(fcnn.relu)(-1.0))
      1.0
      >>> print(jax.grad(fcnn.relu)(-1.0))
      0.0
    """
    return _scope(_checked_layer("use_rules", transformations))


def with_rules(fun: Callable[..., Any], /, **transformations: Transformation) -> Callable[..., Any]:
    """Returns ``fun`` with rules exchanged: ``use_rules`` as a transformation of a function.

    Args:
      fun: any function that calls ops of this library.
      **transformations: op name to transformation, as in ``use_rules``.

    Returns:
      A function with ``fun``'s signature.

    Raises:
      ValueError: an op name is unknown.
      TypeError: ``fun`` or a transformation is not callable, or a transformation is not hashable.

    Example:
      >>> import jax, functional_cnn as fcnn
      >>> double = lambda rule: rule._replace(bwd=lambda spec, y, dy: (2 * dy,))
      >>> print(jax.grad(fcnn.with_rules(fcnn.relu, relu=double))(1.0))
      2.0
    """
    if not callable(fun):
        raise TypeError(f"with_rules: fun must be callable, got {fun!r}")
    layer = _checked_layer("with_rules", transformations)

    @functools.wraps(fun)
    def exchanged(*args, **kwargs):
        with _scope(layer):
            return fun(*args, **kwargs)

    return exchanged


def autodiff() -> AbstractContextManager[None]:
    """Makes every op run its reference inside a ``with`` block, differentiated by JAX itself.

    This is for comparison, and for what a ``custom_vjp`` cannot do: ``jax.jvp``, ``jacfwd``, ``linearize``
    and ``hessian``. An exchange named inside the block takes effect for its op.

    Returns:
      A context manager.

    Example:
      >>> import jax, functional_cnn as fcnn
      >>> with fcnn.autodiff():
      ...     print(jax.jvp(fcnn.relu, (3.0,), (2.0,))[1])
      2.0
    """
    return _scope(_AUTODIFF)


def is_autodiff() -> bool:
    """Whether an ``autodiff()`` block is in force, so that what runs must pass every mode of differentiation."""
    return _AUTODIFF in _exchanges.value


def apply(name: str, spec: tuple, *args: Any) -> Any:
    """Runs the rule that is in force for an op on arguments that its public function has checked.

    The result has the op's name for policies of ``jax.checkpoint`` and ``fcnn.remat``.
    """
    rule, derived = _in_force(name, _exchanges.value)
    if derived:
        return _referenced(rule, spec)(*args)
    return _differentiable(rule, spec)(*_vary_together(args))


@contextmanager
def _scope(layer: Any) -> Iterator[None]:
    with _exchanges((*_exchanges.value, layer)):
        yield


def _checked_layer(function: str, transformations: Mapping[str, Any]) -> tuple:
    for name, transformation in transformations.items():
        if name not in RULES:
            raise ValueError(
                f"{function}: there is no op named {name!r}; known ops: {', '.join(sorted(RULES))}"
            )
        if not callable(transformation):
            raise TypeError(
                f"{function}: {name} must be a function from Rule to Rule, got {transformation!r}"
            )
        try:
            hash(transformation)
        except TypeError as error:
            raise TypeError(
                f"{function}: the transformation of {name} must be hashable, as jit's caches look it "
                f"up, but {transformation!r} is not"
            ) from error
    return tuple(sorted(transformations.items(), key=lambda item: item[0]))


# The caches below are keyed by rules and specs, which programs have few of; their bounds only keep a
# program that makes transformations without end from filling memory.


@functools.lru_cache(maxsize=4096)
def _in_force(name: str, layers: tuple) -> tuple[Rule, bool]:
    """The rule of an op under layers of exchanges, and whether its reference runs in its place."""
    rule, derived = RULES[name], False
    for layer in layers:
        if layer == _AUTODIFF:
            derived = True
        elif (transformation := dict(layer).get(name)) is not None:
            rule, derived = transformation(rule), False
            if not isinstance(rule, Rule):
                raise TypeError(f"{name}: its transformation must return a Rule, got {rule!r}")
    return rule, derived


@functools.lru_cache(maxsize=4096)
def _differentiable(rule: Rule, spec: tuple) -> Callable[..., Any]:
    """The rule as a ``custom_vjp``. The spec stays in the closure: ``nondiff_argnums`` breaks under remat."""

    def fun(*args):
        return fwd(*args)[0]

    def fwd(*args):
        with jax.named_scope(rule.name):
            out, residuals = rule.fwd(spec, *args)
        return checkpoint_name(out, rule.name), residuals

    def bwd(residuals, dout):
        with jax.named_scope(f"{rule.name}_bwd"):
            return rule.bwd(spec, residuals, dout)

    fun.__name__ = rule.name
    fwd.__name__ = f"{rule.name}_fwd"
    bwd.__name__ = f"{rule.name}_bwd"
    op = jax.custom_vjp(fun)
    op.defvjp(fwd, _compiled(bwd))
    return _compiled(op)


@functools.lru_cache(maxsize=4096)
def _referenced(rule: Rule, spec: tuple) -> Callable[..., Any]:
    def fun(*args):
        with jax.named_scope(rule.name):
            return checkpoint_name(rule.reference(spec, *args), rule.name)

    fun.__name__ = rule.name
    return _compiled(fun)


def _compiled(fun: Callable[..., Any]) -> Callable[..., Any]:
    # An eager call then runs as one compiled program; inside a trace `inline` leaves no call behind.
    return jax.jit(fun, inline=True)


def _vary_together(args: tuple) -> tuple:
    """Makes floating arguments vary over the same axes of a ``shard_map``.

    A replicated parameter beside sharded data, labels or keys has a cotangent that varies, which a
    ``custom_vjp`` may not return for it. Cast to varying first, the cast's own transpose sums the cotangent
    over the axes.
    """
    axes = frozenset[str]().union(*(jax.typeof(leaf).mat.varying for leaf in jax.tree.leaves(args)))
    if not axes:
        return args

    def vary(leaf):
        if not _has_cotangent(leaf):
            return leaf
        missing = axes - jax.typeof(leaf).mat.varying
        return lax.pcast(leaf, tuple(missing), to="varying") if missing else leaf

    return jax.tree.map(vary, args)


def _has_cotangent(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)
