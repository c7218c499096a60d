//! Functions of one float that the standard library computes differently from Go, or not at all.

/// -1, 0 or 1; zero and NaN stay what they are.
pub(crate) fn sign(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

/// Inverse hyperbolic cosine, precise near one (FreeBSD `e_acosh.c`, as Go).
pub(crate) fn acosh(value: f64) -> f64 {
    const LARGE: f64 = 268_435_456.0;
    if value < 1.0 || value.is_nan() {
        f64::NAN
    } else if value == 1.0 {
        0.0
    } else if value >= LARGE {
        value.ln() + std::f64::consts::LN_2
    } else if value > 2.0 {
        (2.0 * value - 1.0 / (value + (value * value - 1.0).sqrt())).ln()
    } else {
        let above = value - 1.0;
        (above + (2.0 * above + above * above).sqrt()).ln_1p()
    }
}

/// Inverse hyperbolic sine, precise near zero.
pub(crate) fn asinh(value: f64) -> f64 {
    value.asinh()
}

/// Inverse hyperbolic tangent; NaN outside of -1 to 1.
pub(crate) fn atanh(value: f64) -> f64 {
    value.atanh()
}

/// Rounds to the nearest multiple of `nearest`, halves up. Prometheus `funcRound`: multiplying by the inverse
/// loses less than dividing.
pub(crate) fn round_to(value: f64, nearest: f64) -> f64 {
    let inverse = 1.0 / nearest;
    (value * inverse + 0.5).floor() / inverse
}
