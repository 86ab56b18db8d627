//! Several measurements of one thing.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Measurements of one thing, in one unit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    pub(crate) fn milliseconds(times: impl IntoIterator<Item = Duration>) -> Self {
        Self::of(times.into_iter().map(|time| time.as_secs_f64() * 1e3))
    }

    /// The middle; of an even count the mean of the two in the middle.
    pub(crate) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.as_slice() {
            [] => f64::NAN,
            values if values.len() % 2 == 1 => values[middle],
            values => f64::midpoint(values[middle - 1], values[middle]),
        }
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn most(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// How long some work takes, `times` times, in milliseconds, after it was done once to warm what can be warm.
pub(crate) fn time<E>(times: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<Sample, E> {
    work()?;
    let mut taken = Vec::with_capacity(times);
    for _ in 0..times {
        let begin = Instant::now();
        work()?;
        taken.push(begin.elapsed());
    }
    Ok(Sample::milliseconds(taken))
}

#[cfg(test)]
mod tests {
    use super::Sample;

    #[test]
    fn the_median_is_in_the_middle() {
        let odd = Sample::of([3.0, 1.0, 2.0]);
        assert_eq!([odd.least(), odd.median(), odd.most()], [1.0, 2.0, 3.0]);
        assert!((Sample::of([4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < f64::EPSILON);
        assert!(Sample::default().median().is_nan());
    }
}
