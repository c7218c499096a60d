//! Seeded chance, a few nanoseconds a number: a hundred million samples are drawn from it. Knows only its seed.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn seeded(seed: u64, stream: u64) -> Chance {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream.rotate_left(32));
        chance.bits();
        chance
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 to 1, without 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Nearly normal, mean 0 and deviation 1: three uniform numbers added up.
    pub(crate) fn normal(&mut self) -> f64 {
        (self.unit() + self.unit() + self.unit() - 1.5) * 2.0
    }

    /// How many of something happen of which `mean` are expected.
    pub(crate) fn count(&mut self, mean: f64) -> f64 {
        if mean > 20.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        // Knuth's way: multiply until it is less than e^-mean.
        let least = (-mean).exp();
        let (mut product, mut count) = (self.unit(), 0.0);
        while product > least {
            product *= self.unit();
            count += 1.0;
        }
        count
    }
}
