"""How many places the KV cache may have: fewer for a while after the device had no memory for all.

It never has more than its memory allows. What filled the device may be gone later, so after many steps without a fault
there is twice the room again, and all of it once there is nothing left to do.
"""

# steps without a fault until more room is tried: what came in had to be read again after the last one
CALM_STEPS = 512


class Room:
    """The places of the next arena."""

    def __init__(self, most: int) -> None:
        self.most = self.places = most
        self._num_calm = 0

    @property
    def is_calm(self) -> bool:
        """Whether more room is to be tried as soon as nobody is in hand."""
        return self.places < self.most and self._num_calm >= CALM_STEPS

    def count_step(self) -> None:
        """A step went well."""
        self._num_calm += 1

    def shrink(self, num_taken: int, least: int) -> bool:
        """Make it half of what was taken, though no less than one request needs; False if it is that already."""
        smaller = max(num_taken // 2, least)
        if smaller >= self.places:
            return False
        self.places, self._num_calm = smaller, 0
        return True

    def fit(self, least: int) -> bool:
        """With nobody in hand, make it as large as one request needs, or more if it is time; whether it changed."""
        wanted = max(self.places, least, 2 * self.places if self.is_calm else 0)
        return self._become(min(wanted, self.most))

    def reset(self) -> bool:
        """Make it all there is; whether it changed."""
        return self._become(self.most)

    def _become(self, places: int) -> bool:
        is_new = places != self.places
        if is_new:
            self.places, self._num_calm = places, 0
        return is_new
