//! Kernels that compute each channel of NHWC data independently.

use crate::platform::simd::Kernel;

/// A [`Kernel`] that loops over channels: whole vectors first, then the remaining channels one at a time.
///
/// Like every [`Kernel`], implementations and everything they call must be `#[inline(always)]`.
pub trait ChannelKernel {
    /// Number of channels.
    fn channels(&self) -> usize;

    /// Computes the channels `first .. first + N` of all pixels. `FMA`: whether the processor multiplies and adds in
    /// one instruction.
    fn run_channels<const N: usize, const FMA: bool>(&mut self, first: usize);
}

impl<K: ChannelKernel> Kernel for K {
    type Output = ();

    #[inline(always)]
    fn run<const L: usize, const FMA: bool>(mut self) {
        let channels = self.channels();
        for first in (0..channels).step_by(L) {
            if first + L <= channels {
                self.run_channels::<L, FMA>(first);
            } else {
                (first..channels).for_each(|channel| self.run_channels::<1, FMA>(channel));
            }
        }
    }
}
