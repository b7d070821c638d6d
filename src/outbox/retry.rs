//! When a failed attempt is made again. Draws no randomness: it is handed in.

use std::time::Duration;

use crate::base::limits;

/// How often and after which pauses an operation is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// Attempts in all.
    pub attempts_max: u32,
    /// Pause after the first; doubles after each.
    pub base: Duration,
    /// Longest pause.
    pub max: Duration,
    /// A pause is longer or shorter by up to so many hundredths.
    pub jitter_percent: u32,
    /// How long a claimed operation may take before it counts as failed.
    pub claim_timeout: Duration,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy {
            attempts_max: limits::OUTBOX_ATTEMPTS_MAX,
            base: limits::OUTBOX_RETRY_BASE,
            max: limits::OUTBOX_RETRY_MAX,
            jitter_percent: limits::OUTBOX_JITTER_PERCENT,
            claim_timeout: limits::OUTBOX_CLAIM_TIMEOUT,
        }
    }
}

impl RetryPolicy {
    /// The pause after the `attempt`th attempt (from 1) failed; `dice` is random.
    pub fn pause(&self, attempt: u32, dice: u64) -> Duration {
        let doubled = self.base.saturating_mul(1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX)).min(self.max);
        let span = doubled.as_micros() as u64 / 100 * u64::from(2 * self.jitter_percent.min(100));
        let jitter = Duration::from_micros(if span == 0 { 0 } else { dice % (span + 1) });
        (doubled + jitter).saturating_sub(Duration::from_micros(span / 2)).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_half_a_second_to_half_a_minute_with_a_fifth_of_jitter() {
        let policy = RetryPolicy::default();
        for (attempt, middle) in (1..=8).zip([500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]) {
            let pauses: Vec<u64> =
                (0..1000u64).map(|n| policy.pause(attempt, n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).as_millis() as u64).collect();
            let (least, most) = (pauses.iter().min().expect("some"), pauses.iter().max().expect("some"));
            assert!(*least >= middle * 8 / 10 && *most <= (middle * 12 / 10).min(30_000), "{attempt}: {least} to {most}");
            assert!(most - least > middle / 10, "{attempt}: {least} to {most}");
        }
        assert_eq!(policy.pause(200, 0), Duration::from_secs(24));
    }
}
