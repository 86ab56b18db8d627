//! One release from begin to finish: plan, lease, stages, judgement, record.
