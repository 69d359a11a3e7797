from hypothesis import HealthCheck, settings

# How fast examples are drawn depends on what else the machine does, and how many are filtered out on chance: neither is a defect.
settings.register_profile(
    "here", suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
)
settings.load_profile("here")
