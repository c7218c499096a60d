//! Entropy of the kernel's random numbers.

use super::files::read_number;
use super::{CollectError, Families, Host};

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    let available = read_number(&host.proc_path("sys/kernel/random/entropy_avail"))?;
    families.gauge("node_entropy_available_bits", "Bits of entropy available.", &[], available);
    let pool = read_number(&host.proc_path("sys/kernel/random/poolsize"))?;
    families.gauge("node_entropy_pool_size_bits", "Bits of the entropy pool.", &[], pool);
    Ok(())
}
