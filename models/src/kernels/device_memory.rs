//! The memory pool of a GPU.

#![allow(unsafe_code)]

use candle_core::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{result, sys};

/// Lets the pool keep what is given back to it. Otherwise all that is unused goes back to the system whenever the program waits for
/// the GPU, once a token, and has to be asked for anew in the next step. Results do not depend on it; a driver without pools
/// stays as it is.
pub(crate) fn keep_memory(device: &CudaDevice) {
    let stream = device.cuda_stream();
    let context = stream.context();
    if !context.has_async_alloc() || context.bind_to_thread().is_err() {
        return;
    }
    let mut bytes = u64::MAX;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the device belongs to an open context, the pool is its own, and the value of this attribute is a `cuuint64_t`.
    let _ = unsafe {
        result::device::get_mem_pool(context.cu_device())
            .and_then(|pool| result::mem_pool::set_attribute(pool, attribute, (&raw mut bytes).cast()))
    };
}
