"""Makes the golden fixtures of the density estimators.

    python Tests/AdaptationTests/Fixtures/make_density_fixtures.py

Needs numpy, scipy, scikit-learn, densratio, cvxopt and adapt (last made with 2.4.6, 1.17.1, 1.9.1, 0.4.0, 1.3.3 and 0.4.5;
adapt by `pip install --no-deps`, because what is used of it needs no tensorflow), no network. It rewrites the JSON files next to itself. Features are exact in float32, all else is float64. JSON numbers are written by `repr`.

`discriminator.json`: two groups of responses; a classifier that is trained on one forecasts the other.

    names, groups   [{source: rows, target: rows}]; the fourth feature is constant
    cases           [{options, log_ratios: [of the source rows of each group], auc, brier}]

`rulsif.json`: prompts are 0, 1, … for source, then target.

    seed, source, target    rows of features
    cases                   [{options, log_ratios, pearson_divergence}], all target responses being centers
    choice                  {options, median_distance, sigma, lambda, held_out_pearson_divergence}

`entropy_balance.json`:

    source, target          rows of features
    cases                   [{ridge, log_ratios: minus those of the first response}]

`kliep.json`: prompts as in `rulsif.json`.

    seed, source, target    rows of features
    cases                   [{sigma, log_ratios, kl_divergence}], all target responses being centers
    choice                  {folds, sigma, held_out_kl_divergence}

`kmm.json`:

    seed, source, target    rows of features
    cases                   [{options, log_ratios, discrepancy, discrepancy_before}]
"""

import importlib.util
import json
import sys
import types
import warnings
from pathlib import Path

import cvxopt
import cvxopt.solvers
import numpy
from scipy.optimize import minimize
from scipy.special import expit, logit, logsumexp, softmax
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler

from densratio.RuLSIF import RuLSIF, compute_kernel_Gaussian
from scipy.spatial.distance import pdist

FIXTURES = Path(__file__).resolve().parent


def adapt_module(name):
    """A module of adapt's instance-based methods, without the parts of the package that import tensorflow."""
    for parent in ("adapt", "adapt.base", "adapt.utils"):
        sys.modules.setdefault(parent, types.ModuleType(parent))
    sys.modules["adapt.base"].BaseAdaptEstimator = object
    sys.modules["adapt.base"].make_insert_doc = lambda: lambda owner: owner
    sys.modules["adapt.utils"].set_random_seed = numpy.random.seed
    path = next(Path(p) / "adapt" for p in sys.path if (Path(p) / "adapt/instance_based").is_dir())
    spec = importlib.util.spec_from_file_location(name, path / "instance_based" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        spec.loader.exec_module(module)
    return module


class RandomStream:
    """The program's random numbers: Philox4x32-10 (Salmon et al. 2011) keyed by seed, purpose and identity."""

    WEIGHING = 6
    FOLDS, FREQUENCIES, PHASES = 1, 4, 6

    def __init__(self, seed, use):
        self.key = (seed & 0xFFFFFFFF, seed >> 32)
        self.identity = (use, 0, self.WEIGHING)

    def bits(self, position):
        x, y, z, w = (position, *self.identity)
        k0, k1 = self.key
        for _ in range(10):
            even, odd = x * 0xD2511F53, z * 0xCD9E8D57
            x, y, z, w = (odd >> 32) ^ y ^ k0, odd & 0xFFFFFFFF, (even >> 32) ^ w ^ k1, even & 0xFFFFFFFF
            k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
        return x, y, z, w

    def integer(self, bound, position):
        x, y, _, _ = self.bits(position)
        return ((x << 32 | y) * bound) >> 64

    def uniform(self, position):
        x, y, _, _ = self.bits(position)
        return (x << 21 ^ y >> 11) * 2.0**-53

    def normal(self, position):
        x, y, _, _ = self.bits(position)
        return numpy.sqrt(-2 * numpy.log((x + 1) * 2.0**-32)) * numpy.cos(2 * numpy.pi * y * 2.0**-32)


def features(generator, rows, shift, scale=1.0):
    """Correlated features of different scales, rounded to float32."""
    mix = numpy.array([[1.0, 0.4, 0.0], [0.0, 1.0, -0.3], [0.2, 0.0, 1.0]])
    values = (generator.normal(size=(rows, 3)) * scale + shift) @ mix * [1.0, 25.0, 0.01] + [3.0, -400.0, 0.0]
    return values.astype(numpy.float32).astype(numpy.float64)


def write(name, value):
    (FIXTURES / name).write_text(json.dumps(value, indent=1) + "\n")


def with_constant(rows):
    return numpy.column_stack([rows[:, :2], numpy.full(len(rows), 7.25), rows[:, 2:]])


def design(x, quadratic):
    if not quadratic:
        return x
    return numpy.column_stack([x] + [x[:, i] * x[:, j] for i in range(x.shape[1]) for j in range(i + 1)])


def classifier(x, y, ridge):
    """scikit-learn's minimiser, polished by Newton steps until float64 has no more to give."""
    model = LogisticRegression(C=1 / ridge, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(x, y)
    return lambda rows: model.decision_function(rows)


def platt(scores, y):
    """The problem that scikit-learn's _sigmoid_calibration solves to 1e-6, to the end."""
    positives, negatives = y.sum(), len(y) - y.sum()
    targets = numpy.where(y == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(p):
        z = p[0] * scores + p[1]
        residual = expit(z) - targets
        value = numpy.logaddexp(0, z) - targets * z
        return value.sum(), numpy.array([residual @ scores, residual.sum()])

    def hessian(p):
        w = expit(p[0] * scores + p[1])
        w = w * (1 - w)
        return numpy.array([[w @ scores**2, w @ scores], [w @ scores, w.sum()]])

    point = minimize(loss, [0.0, 0.0], jac=True, method="BFGS").x
    for _ in range(5):
        point = point - numpy.linalg.solve(hessian(point), loss(point)[1])
    a, b = _sigmoid_calibration(scores, y)
    assert numpy.allclose(point, [-a, -b], rtol=1e-3, atol=1e-3), (point, a, b)
    return lambda s: point[0] * s + point[1]


def isotonic(scores, y):
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, y)
    with numpy.errstate(divide="ignore"):
        return lambda s: logit(model.predict(s))


CALIBRATIONS = {"platt": platt, "isotonic": isotonic, "none": lambda scores, y: lambda s: s}


def discriminator():
    generator = numpy.random.default_rng(1)
    groups = [
        {"source": features(generator, 40, 0.0), "target": features(generator, 25, [0.6, -0.3, 0.4], 0.8)},
        {"source": features(generator, 35, 0.0), "target": features(generator, 30, [0.6, -0.3, 0.4], 0.8)},
    ]
    scaler = StandardScaler().fit(numpy.concatenate([rows for g in groups for rows in g.values()]))
    labels = [numpy.repeat([0, 1], [len(g["source"]), len(g["target"])]) for g in groups]
    scaled = [scaler.transform(numpy.concatenate([g["source"], g["target"]])) for g in groups]
    priors = [numpy.log(y.sum() / (len(y) - y.sum())) for y in labels]
    cases = []
    for options in (
        {"ridge": 1.0, "calibration": "none"},
        {"ridge": 0.05, "calibration": "none", "quadratic": "yes"},
        {"ridge": 10.0, "calibration": "platt", "quadratic": "no"},
        {"ridge": 1.0, "calibration": "isotonic"},
        {"ridge": 1.0, "calibration": "platt", "max_ratio": 1.5},
    ):
        x = [design(rows, options.get("quadratic") == "yes") for rows in scaled]
        # Each group is forecast by the model of the other one, and calibrated by what the other one's forecasts were worth.
        ratios = [classifier(x[1 - g], labels[1 - g], options["ridge"])(x[g]) - priors[1 - g] for g in (0, 1)]
        calibrated = []
        for g in (0, 1):
            prior = priors[1 - g]
            calibration = CALIBRATIONS[options["calibration"]](ratios[1 - g] + prior, labels[1 - g])
            calibrated.append(calibration(ratios[g] + prior) - prior)
        y = numpy.concatenate(labels)
        forecasts = expit(numpy.concatenate(calibrated) + numpy.log(y.sum() / (len(y) - y.sum())))
        bound = numpy.log(options.setdefault("max_ratio", 1e9))
        cases.append({
            "options": {key: str(value) for key, value in options.items()},
            "log_ratios": [
                numpy.clip(c[y == 0], -bound, bound).tolist() for c, y in zip(calibrated, labels)
            ],
            "auc": roc_auc_score(y, forecasts),
            "brier": brier_score_loss(y, forecasts),
        })
    write("discriminator.json", {
        "names": ["a", "b", "constant", "c"],
        "groups": [{domain: with_constant(rows).tolist() for domain, rows in g.items()} for g in groups],
        "cases": cases,
    })


def relative_ratio(target, source, alpha, sigma, lambda_, centers):
    """θ of RuLSIF; the package's own function draws the centers."""
    k_t, k_s = (compute_kernel_Gaussian(rows, centers, sigma) for rows in (target, source))
    h = alpha * k_t.T @ k_t / len(target) + (1 - alpha) * k_s.T @ k_s / len(source)
    return numpy.maximum(0, numpy.linalg.solve(h + lambda_ * numpy.eye(len(centers)), k_t.mean(axis=0)))


def pearson_loss(r_t, r_s, alpha):
    return alpha / 2 * (r_t**2).mean() + (1 - alpha) / 2 * (r_s**2).mean() - r_t.mean()


def rulsif():
    generator = numpy.random.default_rng(2)
    numpy.random.seed(0)
    seed = 77
    source, target = features(generator, 60, 0.0), features(generator, 35, [0.5, 0.0, -0.7], 0.7)
    scaler = StandardScaler().fit(numpy.concatenate([source, target]))
    y, x = scaler.transform(source), scaler.transform(target)
    cases = []
    for alpha, sigma, lambda_ in ((0.0, 1.0, 0.1), (0.1, 0.7, 0.01), (0.5, 2.5, 0.3), (0.1, 0.15, 0.001)):
        # With as many kernels as target responses all of them are centers, in any order.
        result = RuLSIF(x, y, alpha, [sigma], [lambda_], kernel_num=len(x), verbose=False)
        r_t, r_s = result.compute_density_ratio(x), result.compute_density_ratio(y)
        theta = relative_ratio(x, y, alpha, sigma, lambda_, x)
        assert numpy.allclose(compute_kernel_Gaussian(y, x, sigma) @ theta, r_s, rtol=1e-9)
        cases.append({
            "options": {"alpha": str(alpha), "sigma": str(sigma), "lambda": str(lambda_)},
            "log_ratios": numpy.log(r_s).tolist(),
            "pearson_divergence": -pearson_loss(r_t, r_s, alpha) - 0.5,
        })
    write("rulsif.json", {
        "seed": seed, "source": source.tolist(), "target": target.tolist(), "cases": cases,
        "choice": rulsif_choice(y, x, seed, alpha=0.2, folds=4),
    })


def rulsif_choice(source, target, seed, alpha, folds):
    """Refits for every fold, width and ridge, with the program's folds."""
    stream = RandomStream(seed, RandomStream.FOLDS)
    fold = numpy.array([stream.integer(folds, prompt) for prompt in range(len(source) + len(target))])
    fold_s, fold_t = fold[: len(source)], fold[len(source) :]
    distances = numpy.sort(pdist(numpy.concatenate([source, target])))
    median = distances[len(distances) // 2]
    scores = {}
    for sigma in (0.5 * median, median, 2 * median):
        for lambda_ in (0.001, 0.01, 0.1, 1.0):
            losses = []
            for k in range(folds):
                t, s = target[fold_t != k], source[fold_s != k]
                theta = relative_ratio(t, s, alpha, sigma, lambda_, target)
                r_t, r_s = (
                    compute_kernel_Gaussian(rows, target, sigma) @ theta
                    for rows in (target[fold_t == k], source[fold_s == k])
                )
                losses.append(pearson_loss(r_t, r_s, alpha))
            scores[sigma, lambda_] = numpy.mean(losses)
    sigma, lambda_ = min(scores, key=scores.get)
    return {
        "options": {"alpha": str(alpha), "folds": str(folds)}, "median_distance": median, "sigma": sigma,
        "lambda": lambda_, "held_out_pearson_divergence": -scores[sigma, lambda_] - 0.5,
    }


def entropy_balance():
    generator = numpy.random.default_rng(3)
    source, target = features(generator, 70, 0.0), features(generator, 40, [0.5, -0.2, 0.3], 0.7)
    scaler = StandardScaler().fit(numpy.concatenate([source, target]))
    rows, mean = scaler.transform(source), scaler.transform(target).mean(axis=0)
    cases = []
    for ridge in (0.0, 0.02, 3.0):
        def dual(tilt):
            exponents = (rows - mean) @ tilt
            weights = softmax(exponents)
            gradient = weights @ (rows - mean)
            value = logsumexp(exponents) - numpy.log(len(rows)) + ridge / 2 * tilt @ tilt
            return value, gradient + ridge * tilt

        def hessian(tilt):
            weights = softmax((rows - mean) @ tilt)
            centered = rows - weights @ rows
            return (centered * weights[:, None]).T @ centered + ridge * numpy.eye(len(tilt))

        tilt = minimize(dual, numpy.zeros(3), jac=True, hess=hessian, method="trust-exact", tol=1e-10).x
        tilt = tilt - numpy.linalg.solve(hessian(tilt), dual(tilt)[1])
        assert numpy.abs(dual(tilt)[1]).max() < 1e-14
        cases.append({"ridge": str(ridge), "log_ratios": ((rows - rows[0]) @ tilt).tolist()})
    write("entropy_balance.json", {"source": source.tolist(), "target": target.tolist(), "cases": cases})


def kliep_weights(source, target, sigma, centers):
    """α: cvxopt's interior point, then Newton's method on its support; adapt's Frank–Wolfe steps must be on the way there."""
    method = object.__new__(adapt_module("_kliep").KLIEP)
    vars(method).update(
        kernel="rbf", max_centers=len(centers), max_iter=20_000, verbose=0, random_state=0, algo="FW")
    start, _ = method._fit_FW(source, centers, kernel_params={"gamma": 0.5 / sigma**2})
    order = numpy.random.RandomState(0).permutation(len(centers))
    means = compute_kernel_Gaussian(source, centers, sigma).mean(axis=0)
    kernels = compute_kernel_Gaussian(target, centers, sigma) / means
    frank_wolfe = numpy.empty(len(centers))
    frank_wolfe[order] = start.ravel()
    weights = interior_point(kernels)
    support = weights > 1e-7
    c, w = kernels[:, support], weights[support] / weights[support].sum()
    for _ in range(50):
        u = c @ w
        gradient, hessian = (c / u[:, None]).mean(axis=0), -(c / u[:, None]).T @ (c / u[:, None]) / len(u)
        system = numpy.block([[hessian, numpy.ones((len(w), 1))], [numpy.ones((1, len(w))), numpy.zeros((1, 1))]])
        w = w + numpy.linalg.solve(system, numpy.append(-gradient, 0))[:-1]
    weights = numpy.zeros(len(centers))
    weights[support] = w
    gradient = (kernels / (kernels @ weights)[:, None]).mean(axis=0)
    assert w.min() > 0 and gradient.max() < 1 + 1e-12 and abs(w.sum() - 1) < 1e-12
    if target is centers:
        lack = (numpy.log(kernels @ weights) - numpy.log(kernels @ (frank_wolfe * means))).mean()
        assert -1e-12 < lack < 1e-3, lack
    return weights / means


def interior_point(kernels):
    """The simplex's maximum of mean log(kernels @ w)."""
    rows, n = kernels.shape

    def objective(x=None, z=None):
        if x is None:
            return 0, cvxopt.matrix(1.0 / n, (n, 1))
        mixture = kernels @ numpy.array(x).ravel()
        if mixture.min() <= 0:
            return None
        scaled = kernels / mixture[:, None]
        value, gradient = cvxopt.matrix(-numpy.log(mixture).mean()), cvxopt.matrix(-scaled.mean(axis=0)[None, :])
        if z is None:
            return value, gradient
        return value, gradient, cvxopt.matrix(z[0] * scaled.T @ scaled / rows)

    cvxopt.solvers.options.update(show_progress=False, abstol=1e-13, reltol=1e-13, feastol=1e-13, maxiters=200)
    result = cvxopt.solvers.cp(
        objective, G=-cvxopt.spmatrix(1.0, range(n), range(n)), h=cvxopt.matrix(0.0, (n, 1)),
        A=cvxopt.matrix(1.0, (1, n)), b=cvxopt.matrix(1.0))
    return numpy.array(result["x"]).ravel()


def kliep():
    generator = numpy.random.default_rng(4)
    seed, folds = 91, 3
    source, target = features(generator, 60, 0.0), features(generator, 35, [0.5, 0.0, -0.7], 0.7)
    scaler = StandardScaler().fit(numpy.concatenate([source, target]))
    s, t = scaler.transform(source), scaler.transform(target)
    cases = []
    for sigma in (0.5, 1.0, 2.5):
        alpha = kliep_weights(s, t, sigma, t)
        cases.append({
            "sigma": str(sigma),
            "log_ratios": numpy.log(compute_kernel_Gaussian(s, t, sigma) @ alpha).tolist(),
            "kl_divergence": numpy.log(compute_kernel_Gaussian(t, t, sigma) @ alpha).mean(),
        })
    stream = RandomStream(seed, RandomStream.FOLDS)
    fold = numpy.array([stream.integer(folds, prompt) for prompt in range(len(s), len(s) + len(t))])
    distances = numpy.sort(pdist(numpy.concatenate([s, t])))
    median = distances[len(distances) // 2]
    scores = {}
    for sigma in (0.5 * median, median, 2 * median):
        held = []
        for k in range(folds):
            alpha = kliep_weights(s, t[fold != k], sigma, t)
            held.append(numpy.log(compute_kernel_Gaussian(t[fold == k], t, sigma) @ alpha).mean())
        scores[sigma] = numpy.mean(held)
    sigma = max(scores, key=scores.get)
    write("kliep.json", {
        "seed": seed, "source": source.tolist(), "target": target.tolist(), "cases": cases,
        "choice": {"folds": str(folds), "sigma": sigma, "held_out_kl_divergence": scores[sigma]},
    })


def box_program(features, mean, ridge, bound):
    """argmin ½‖mean w·z − mean‖² + ½·ridge·mean (w − 1)² over 1/bound ≤ w ≤ bound: cvxopt, then the free weights exactly."""
    n = len(features)
    hessian = features @ features.T / n**2 + ridge / n * numpy.eye(n)
    linear = -features @ mean / n - ridge / n
    identity = cvxopt.spmatrix(1.0, range(n), range(n))
    cvxopt.solvers.options.update(show_progress=False, abstol=1e-14, reltol=1e-14, feastol=1e-14, maxiters=200)
    result = cvxopt.solvers.qp(
        cvxopt.matrix(hessian), cvxopt.matrix(linear), cvxopt.sparse([identity, -identity]),
        cvxopt.matrix(numpy.repeat([bound, -1 / bound], n)))
    weights = numpy.array(result["x"]).ravel()
    low, high = weights < 1 / bound + 1e-6, weights > bound - 1e-6
    weights[low], weights[high] = 1 / bound, bound
    free = ~(low | high)
    weights[free] = numpy.linalg.solve(
        hessian[numpy.ix_(free, free)], -linear[free] - hessian[numpy.ix_(free, ~free)] @ weights[~free])
    gradient = hessian @ weights + linear
    assert numpy.all(gradient[low] > 0) and numpy.all(gradient[high] < 0)
    assert weights.min() >= 1 / bound and weights.max() <= bound
    return weights


def adapt_weights(features, target, ridge, bound):
    """The same by adapt: each source response has a feature of its own, whose match is the ridge."""
    n = len(features)
    own = numpy.sqrt(ridge * n)
    method = object.__new__(adapt_module("_kmm").KMM)
    vars(method).update(kernel="linear", B=bound, eps=1e9, tol=1e-12, max_iter=200, verbose=0)
    return method._fit_weights(
        numpy.hstack([features, own * numpy.eye(n)]), numpy.hstack([target, numpy.full((len(target), n), own / n)]))


def kmm():
    generator = numpy.random.default_rng(6)
    seed, count = 1234567890123, 40
    source, target = features(generator, 60, 0.0), features(generator, 35, [0.9, 0.0, -0.9], 0.5)
    scaler = StandardScaler().fit(numpy.concatenate([source, target]))
    s, t = scaler.transform(source), scaler.transform(target)
    frequency_stream, phase_stream = RandomStream(seed, RandomStream.FREQUENCIES), RandomStream(seed, RandomStream.PHASES)
    normals = numpy.array([frequency_stream.normal(i) for i in range(count * 3)]).reshape(count, 3)
    phases = 2 * numpy.pi * numpy.array([phase_stream.uniform(i) for i in range(count)])
    cases = []
    for sigma, ridge, bound in ((1.0, 0.1, 1000.0), (1.5, 0.003, 1000.0), (0.7, 0.0001, 3.0)):
        z_s, z_t = (numpy.sqrt(2 / count) * numpy.cos(rows @ normals.T / sigma + phases) for rows in (s, t))
        mean = z_t.mean(axis=0)
        weights = box_program(z_s, mean, ridge, bound)
        # adapt's lower bound is 0.
        assert numpy.abs(adapt_weights(z_s, z_t, ridge, bound) - weights).max() < 1e-2 if bound == 1000 else True
        cases.append({
            "options": {"sigma": str(sigma), "ridge": str(ridge), "max_ratio": str(bound), "frequencies": str(count)},
            "log_ratios": numpy.log(weights).tolist(),
            "discrepancy": numpy.linalg.norm(weights @ z_s / len(s) - mean),
            "discrepancy_before": numpy.linalg.norm(z_s.mean(axis=0) - mean),
        })
    write("kmm.json", {"seed": str(seed), "source": source.tolist(), "target": target.tolist(), "cases": cases})


if __name__ == "__main__":
    discriminator()
    rulsif()
    entropy_balance()
    kliep()
    kmm()
