"""Which coupon booklet a member will use: the chance that anything of what is sent is redeemed."""
